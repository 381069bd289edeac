//! Rows that come and go after the training.

use crate::build::{encode_new, room, seconds};
use crate::{Ivf, IvfError, ListRows};
use ann_core::{Index, MatrixView, Monitor, Par, RowSet};
use ann_quant::assign;

impl<S: ListRows> Ivf<S> {
    /// Appends rows, `(m, dim)`, to the lists of their nearest centres. Centres and codecs stay as they were learnt: build anew when
    /// the rows have become others, which [`Self::imbalance`] tells.
    ///
    /// # Errors
    /// [`IvfError::Row`] for the first row that does not belong, [`IvfError::Cancelled`]; the index is then unchanged.
    pub fn extend(&mut self, rows: MatrixView<'_, f32>, par: Par, monitor: Monitor<'_>) -> Result<(), IvfError> {
        self.check_rows(rows)?;
        room(self.len(), rows.len())?;
        if rows.is_empty() {
            return Ok(());
        }
        let (first, total) = (self.len(), rows.len() as u64);
        monitor.report(0, total)?;
        let encoded = par.install(|par| {
            let mut labels = vec![0; rows.len()];
            assign(rows, self.centres().view(), self.metric, &mut labels, par)?;
            let seconds = seconds(rows, &self.centres(), self.metric, &labels, &self.params, par)?;
            let centre = |list| self.centres.rows.row(list as u32);
            let encoded = encode_new(&self.codec, centre, rows, &labels, &seconds, par);
            monitor.report(total, total)?;
            Ok::<_, IvfError>(encoded)
        })?;
        self.store.push_all(rows.rows())?;
        let block_len = self.codec.block_len();
        for (group, (list, new)) in encoded.groups.iter().enumerate() {
            let block = &encoded.codes[group * block_len..][..block_len];
            for (lane, &row) in new.iter().enumerate() {
                let place = self.lists.push(*list, first as u32 + row, block_len);
                self.codec.copy_lane(block, lane, self.lists.codes.as_mut_slice(), place);
            }
        }
        Ok(())
    }

    /// Takes rows out; the last rows take their numbers. Gives the former number of every row that is left.
    pub fn purge(&mut self, dead: &RowSet) -> Vec<u32> {
        let before = self.len();
        let left = self.store.remove_rows(dead);
        let mut names = vec![u32::MAX; before];
        (0u32..).zip(&left).for_each(|(row, &former)| names[former as usize] = row);
        self.lists.rename(&self.codec, |row| Some(names[row as usize]).filter(|&name| name != u32::MAX));
        left
    }
}

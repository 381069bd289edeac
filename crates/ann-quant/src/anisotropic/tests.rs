use super::*;
use crate::CodeStore;
use crate::pq::tests::{quality, trained};
use ann_testkit::portable::{Portable, spec256};
use ann_testkit::shapes;

fn params(m: usize, eta: f32, refine: usize) -> AnisotropicParams {
    AnisotropicParams { pq: PqParams { m, nbits: 4, ..Default::default() }, eta, refine }
}

fn aware(set: &Portable, params: &AnisotropicParams) -> CodeStore<Anisotropic> {
    let quantizer = Anisotropic::train(set.base.view(), set.metric, params, Par::Ambient).unwrap();
    CodeStore::from_rows(quantizer, set.base.view(), Par::Ambient).unwrap()
}

/// `‖x - x̃‖² + (η - 1) ⟨x - x̃, x / ‖x‖⟩²` in f64.
fn loss(row: &[f32], decoded: &[f32], eta: f64) -> f64 {
    let (mut square, mut along, mut norm) = (0.0, 0.0, 0.0);
    for (&x, &y) in row.iter().zip(decoded) {
        let (x, y) = (f64::from(x), f64::from(y));
        square += (x - y) * (x - y);
        along += (x - y) * x;
        norm += x * x;
    }
    square + if norm > 0.0 { (eta - 1.0) * along * along / norm } else { 0.0 }
}

fn total<Q: Quantizer>(set: &Portable, store: &CodeStore<Q>, eta: f64) -> f64 {
    let mut decoded = vec![0.0; set.base.dim()];
    let rows = (0u32..).zip(set.base.rows());
    rows.map(|(id, row)| {
        store.quantizer().decode(store.code(id), &mut decoded);
        loss(row, &decoded, eta)
    })
    .sum()
}

#[test]
fn no_code_has_more_loss_than_that_of_the_nearest_centroids() {
    let set = spec256(500, 0);
    let store = aware(&set, &params(64, 3.0, 0));
    let pq = store.quantizer().pq().clone();
    let (mut decoded, mut plain, mut code) = (vec![0.0; 256], vec![0.0; 256], vec![0; pq.code_len()]);
    let mut better = 0;
    for (id, row) in (0u32..).zip(set.base.rows()) {
        store.quantizer().decode(store.code(id), &mut decoded);
        pq.encode(row, &mut Vec::new(), &mut code);
        pq.decode(&code, &mut plain);
        let (found, plain) = (loss(row, &decoded, 3.0), loss(row, &plain, 3.0));
        assert!(found <= plain * (1.0 + 1e-5), "{found} {plain}");
        better += usize::from(found < 0.999 * plain);
    }
    assert!(better > 400, "{better} of 500");
}

#[test]
fn no_change_of_one_group_makes_a_code_better() {
    let set = spec256(300, 0);
    let store = aware(&set, &params(32, 2.6, 0));
    let (pq, mut decoded) = (store.quantizer().pq(), vec![0.0; 256]);
    for (id, row) in (0u32..20).zip(set.base.rows()) {
        pq.decode(store.code(id), &mut decoded);
        let found = loss(row, &decoded, 2.6);
        for (group, (width, book)) in pq.groups().enumerate() {
            let at = group * 8..group * 8 + width;
            let kept = decoded[at.clone()].to_vec();
            for centroid in book.chunks(width) {
                decoded[at.clone()].copy_from_slice(centroid);
                assert!(loss(row, &decoded, 2.6) >= found - 1e-6);
            }
            decoded[at].copy_from_slice(&kept);
        }
    }
}

#[test]
fn eta_of_one_is_the_plain_code() {
    let set = spec256(400, 0);
    let (plain, store) = (trained(&set, &params(32, 1.0, 0).pq), aware(&set, &params(32, 1.0, 0)));
    assert_eq!(plain.padded_codes(), store.padded_codes());
}

#[test]
fn fitted_codebooks_have_less_loss() {
    let set = spec256(1500, 0);
    let losses = [0, 1, 3].map(|refine| total(&set, &aware(&set, &params(64, 2.6, refine)), 2.6));
    assert!(losses[1] < 0.99 * losses[0] && losses[2] < losses[1], "{losses:?}");
}

#[test]
fn codes_are_the_same_on_any_number_of_threads() {
    let set = spec256(900, 0);
    let all = |par| {
        let quantizer = Anisotropic::train(set.base.view(), Metric::Cosine, &params(50, 3.0, 1), par).unwrap();
        let store = CodeStore::from_rows(quantizer, set.base.view(), par).unwrap();
        (store.quantizer().pq().codebooks().to_vec(), store.padded_codes().to_vec())
    };
    let serial = all(Par::Serial);
    assert_eq!(serial, all(Par::Threads(2)));
    assert_eq!(serial, all(Par::Threads(8)));
}

#[test]
fn products_of_the_nearest_are_kept_better_than_by_plain_codes() {
    let set = spec256(3000, 100);
    let (plain, found) =
        (quality(&set, &trained(&set, &params(128, 1.0, 0).pq)), quality(&set, &aware(&set, &params(128, 2.6, 0))));
    assert!(found.1[0] > plain.1[0] + 0.02 && found.0 > plain.0, "{plain:?} {found:?}");
}

#[test]
fn bad_input_is_an_error_and_hostile_rows_are_none() {
    let set = spec256(300, 0);
    let train = |metric, eta| Anisotropic::train(set.base.view(), metric, &params(8, eta, 0), Par::Serial).map(|_| ());
    assert!(matches!(train(Metric::L2, 2.0), Err(TrainError::Metric { .. })));
    assert!(matches!(train(Metric::InnerProduct, 0.5), Err(TrainError::Param { name: "eta", .. })));
    assert!(matches!(train(Metric::InnerProduct, f32::NAN), Err(TrainError::Param { name: "eta", .. })));
    for shape in shapes::hostile(200, 12, 5) {
        let params = params(3.min(shape.base.dim()), 3.0, 1);
        let found = Anisotropic::train(shape.base.view(), Metric::InnerProduct, &params, Par::Serial)
            .map(|quantizer| CodeStore::from_rows(quantizer, shape.base.view(), Par::Serial).map(|_| ()));
        assert!(matches!(found, Ok(Ok(()))), "{}: {found:?}", shape.name);
    }
}

/// scann 1.4.2 without tree and rerank: 0.656 0.859 0.978 0.997 at eta 2.6; plain codes 0.607 0.809 0.955 0.992, and
/// 0.612 0.811 0.955 0.990 in faiss.
#[test]
#[ignore = "slow: encodes 50,000 rows four times"]
fn acceptance_recall_is_higher_than_that_of_plain_codes() {
    let set = spec256(50_000, 1000);
    let start = std::time::Instant::now();
    let plain = quality(&set, &trained(&set, &params(128, 1.0, 0).pq));
    eprintln!("plain: {plain:.4?}, faiss 0.108 [0.612, 0.811, 0.955, 0.990], {:.1?}", start.elapsed());
    let mut first = Vec::new();
    for (eta, refine) in [(2.6, 0), (2.6, 2), (10.6, 0)] {
        let found = quality(&set, &aware(&set, &params(128, eta, refine)));
        eprintln!("eta {eta}, refined {refine} times: {found:.4?}, {:.1?}", start.elapsed());
        first.push(found.1[0]);
    }
    assert!(first[0] >= plain.1[0] + 0.03 && first[1] >= plain.1[0] + 0.03, "{first:?} {plain:?}");
    assert!((plain.0 / 0.108 - 1.0).abs() < 0.03, "{}", plain.0);
}

use super::*;
use ann_testkit::portable;

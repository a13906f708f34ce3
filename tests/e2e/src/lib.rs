//! Tests of Ferry as a whole; there is no code here, only `tests/`.

//! What the tests run against: fake devices, real peers, sample media.

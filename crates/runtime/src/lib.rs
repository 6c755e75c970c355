//! The development chain's runtime.
#![cfg_attr(not(feature = "std"), no_std)]

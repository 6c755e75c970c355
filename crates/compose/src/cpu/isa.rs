//! Which vector instructions the machine has, and one body compiled for each of them.

/// An instruction set that was seen to be there: only [`Isa::available`] makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Isa(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// What the target always has: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// All that this machine has, the widest last.
    pub fn available() -> Vec<Self> {
        let mut all = vec![Self(Kind::Baseline)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self(Kind::Avx2));
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    all.push(Self(Kind::Avx512));
                }
            }
        }
        all
    }

    /// The widest that this machine has.
    pub fn best() -> Self {
        *Self::available().last().expect("the baseline is always there")
    }

    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Baseline if cfg!(target_arch = "x86_64") => "SSE2",
            Kind::Baseline if cfg!(target_arch = "aarch64") => "NEON",
            Kind::Baseline => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
        }
    }

    #[inline]
    pub(super) const fn kind(self) -> Kind {
        self.0
    }
}

/// A function whose body is compiled once for each instruction set and chosen by its first argument.
///
/// What the body calls must be `#[inline(always)]`, or it stays compiled for the baseline.
macro_rules! for_each_isa {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        $vis fn $name(isa: $crate::cpu::isa::Isa, $($arg: $ty),*) {
            #[inline(always)]
            fn body($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512($($arg: $ty),*) { body($($arg),*) }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) { body($($arg),*) }

            match isa.kind() {
                $crate::cpu::isa::Kind::Baseline => body($($arg),*),
                // SAFETY: an `Isa` of this kind exists only where the features were detected.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::isa::Kind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::isa::Kind::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    };
}
pub(super) use for_each_isa;

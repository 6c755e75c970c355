//! Which FFmpeg this program is linked with, for the about page and for bug reports.

use std::ffi::CStr;

use ffmpeg_next::ffi;

/// What the linked FFmpeg asks of whoever passes this program on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum License {
    Lgpl,
    /// It contains GPL parts, such as x264: so is the whole program when passed on as a binary.
    Gpl,
    /// It may not be passed on at all.
    Nonfree,
}

/// The version string of the linked FFmpeg, such as `5.1.9-0+deb12u1`.
pub fn version() -> String {
    // SAFETY: a static NUL-terminated string.
    unsafe { CStr::from_ptr(ffi::av_version_info()) }.to_string_lossy().into_owned()
}

/// The licence of the linked codec library, and its name in FFmpeg's own words (`GPL version 2 or later`).
pub fn license() -> (License, String) {
    // SAFETY: a static NUL-terminated string.
    let text = unsafe { CStr::from_ptr(ffi::avcodec_license()) }.to_string_lossy().into_owned();
    let license = if text.starts_with("LGPL") {
        License::Lgpl
    } else if text.starts_with("GPL") {
        License::Gpl
    } else {
        License::Nonfree
    };
    (license, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn version_and_licence_are_those_that_the_command_line_tool_states() {
        // The tool of the same package is linked with the same libraries.
        let output =
            Command::new("ffmpeg").arg("-version").output().expect("the ffmpeg package is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&version()), "{} is not in {text}", version());
        let (license, name) = license();
        assert_eq!(license == License::Gpl, text.contains("--enable-gpl"), "{name}");
    }
}

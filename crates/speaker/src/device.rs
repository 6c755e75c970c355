//! The devices that the system knows, by name.

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{BufferSize, Device, ErrorKind, Host, StreamConfig, SupportedStreamConfig};
use thiserror::Error;

/// Why a sound device cannot be used, or no longer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DeviceError {
    #[error("there is no such sound device")]
    Missing,
    #[error("the sound device is used by another program")]
    Busy,
    #[error("the system does not allow access to the sound device")]
    Refused,
    #[error("the sound device was disconnected, or its sound server ended")]
    Lost,
    #[error("the sound device does not work: {0}")]
    Other(String),
}

impl From<cpal::Error> for DeviceError {
    fn from(error: cpal::Error) -> Self {
        match error.kind() {
            ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => Self::Missing,
            ErrorKind::DeviceBusy => Self::Busy,
            ErrorKind::PermissionDenied => Self::Refused,
            ErrorKind::StreamInvalidated => Self::Lost,
            _ => Self::Other(error.to_string().trim_end_matches('.').to_owned()),
        }
    }
}

/// Whether a stream goes on after an error.
pub(crate) fn is_passing(error: &cpal::Error) -> bool {
    matches!(error.kind(), ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied)
}

/// A sound device as listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceInfo {
    /// Stays the same while the device is connected, and where the system can, after that.
    pub id: String,
    /// What a person calls it.
    pub name: String,
}

fn info(device: &Device) -> Option<DeviceInfo> {
    let id = device.id().ok()?.to_string();
    let name = device.description().map_or_else(|_| id.clone(), |text| text.name().to_owned());
    Some(DeviceInfo { id, name })
}

/// The system's sound host. The ALSA library prints to standard error whatever device it looks for in vain, also
/// where nothing is wrong; on this thread that goes into a buffer instead, which the next call replaces.
pub(crate) fn host() -> Host {
    #[cfg(target_os = "linux")]
    if let Err(err) = alsa::Output::local_error_handler() {
        tracing::debug!("what ALSA prints cannot be caught: {err}");
    }
    cpal::default_host()
}

/// Microphones and other inputs, the system's default first.
///
/// May take as long as the sound server does; not for a thread that draws.
pub fn inputs() -> Result<Vec<DeviceInfo>, DeviceError> {
    let host = host();
    Ok(list(host.default_input_device(), host.input_devices()?))
}

/// The microphone that the system uses where nobody chooses one. It can be [`DeviceError::Missing`] while there are
/// [`inputs`]: ALSA lists what stands for a sound card and its plug-ins also where there is no card.
///
/// May take as long as the sound server does; not for a thread that draws.
pub fn default_input() -> Result<DeviceInfo, DeviceError> {
    let device = find(None, host().default_input_device(), std::iter::empty())?;
    device.default_input_config()?;
    info(&device).ok_or(DeviceError::Missing)
}

/// Loudspeakers and other outputs, the system's default first.
pub fn outputs() -> Result<Vec<DeviceInfo>, DeviceError> {
    let host = host();
    Ok(list(host.default_output_device(), host.output_devices()?))
}

fn list(default: Option<Device>, devices: impl Iterator<Item = Device>) -> Vec<DeviceInfo> {
    let mut listed: Vec<DeviceInfo> = Vec::new();
    for device in default.into_iter().chain(devices).filter_map(|device| info(&device)) {
        if listed.iter().all(|known| known.id != device.id) {
            listed.push(device);
        }
    }
    listed
}

/// The device whose id or, failing that, name is `wanted`; the default one for `None`.
pub(crate) fn find(
    wanted: Option<&str>,
    default: Option<Device>,
    devices: impl Iterator<Item = Device>,
) -> Result<Device, DeviceError> {
    let Some(wanted) = wanted else { return default.ok_or(DeviceError::Missing) };
    let known: Vec<(DeviceInfo, Device)> =
        devices.filter_map(|device| Some((info(&device)?, device))).collect();
    let by = |matches: fn(&DeviceInfo, &str) -> bool| known.iter().find(|(info, _)| matches(info, wanted));
    by(|info, wanted| info.id == wanted)
        .or_else(|| by(|info, wanted| info.name == wanted))
        .map(|(_, device)| device.clone())
        .ok_or(DeviceError::Missing)
}

/// The device's own rate and channels in periods of 20 ms, and the same in periods of its choice.
///
/// PulseAudio keeps no more than one period of a recording for us and drops what comes meanwhile: with 10 ms
/// that happened on a crowded machine of two cores about once in ten seconds.
pub(crate) fn configs(default: &SupportedStreamConfig) -> [StreamConfig; 2] {
    let of = |buffer_size| StreamConfig {
        channels: default.channels(),
        sample_rate: default.sample_rate(),
        buffer_size,
    };
    [of(BufferSize::Fixed(default.sample_rate() / 50)), of(BufferSize::Default)]
}

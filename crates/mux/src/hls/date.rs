//! Wall time as ISO 8601, for `EXT-X-PROGRAM-DATE-TIME`.

use media::WallTime;

/// UTC to the millisecond: `2024-02-29T12:00:00.250Z`.
pub(super) fn iso_8601(time: WallTime) -> String {
    let millis = time.unix_micros() / 1000;
    let (days, of_day) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

/// Year, month and day of a count of days since 1970, in the proleptic Gregorian calendar: 400 years have
/// 146 097 days, and years are counted from March so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    const TO_1970_FROM_MARCH_OF_0: u64 = 719_468;
    let days = days + TO_1970_FROM_MARCH_OF_0;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31, 30, 31, 30, 31 days again and again: 153 in five.
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates_are_written_in_iso_8601() {
        // From `date -u -d @SECONDS --iso-8601=seconds`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.250Z"),
            (951_782_400, "2000-02-29T00:00:00.250Z"),
            (1_709_208_000, "2024-02-29T12:00:00.250Z"),
            (1_735_689_599, "2024-12-31T23:59:59.250Z"),
            (4_107_542_400, "2100-03-01T00:00:00.250Z"),
        ] {
            assert_eq!(iso_8601(WallTime::from_unix_micros(seconds * 1_000_000 + 250_999)), text);
        }
    }
}

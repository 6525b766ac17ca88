//! Buckets whose bounds grow by a constant factor, as OTLP has them.
//!
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>: at scale s the factor is 2^(2^-s), and
//! bucket i holds what is above factor^i, up to and including factor^(i+1).

use std::collections::VecDeque;

/// The finest scale, where the SDK specification begins: a factor of 1.0000007.
const FINEST: i32 = 20;
/// Buckets at most, as the SDK specification advises.
const BUCKETS_MOST: i64 = 160;
/// Bits of the fraction of a 64-bit floating-point number.
const FRACTION_BITS: i32 = 52;
/// Added to the exponent of a 64-bit floating-point number.
const EXPONENT_BIAS: i32 = 1023;

/// Counts of values that are not negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exponential {
    /// How fine the buckets are.
    pub scale: i32,
    /// Values that are 0.
    pub zero: u64,
    /// Index of the first of `counts`.
    pub offset: i32,
    /// Values in each bucket, with none missing between the first and the last.
    pub counts: VecDeque<u64>,
}

impl Default for Exponential {
    fn default() -> Self {
        Self {
            scale: FINEST,
            zero: 0,
            offset: 0,
            counts: VecDeque::new(),
        }
    }
}

impl Exponential {
    /// Counts a value; one below 0 counts as 0.
    pub fn add(&mut self, value: f64) {
        if value <= 0.0 || !value.is_finite() {
            self.zero += 1;
            return;
        }
        let index = index(value, self.scale);
        let steps = self.too_wide_with(index);
        self.coarsen(steps);
        self.add_at(shifted(index, steps), 1);
    }

    /// What was counted since an earlier state of the same histogram.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut before = earlier.clone();
        before.coarsen((earlier.scale - self.scale).max(0));
        let mut since = self.clone();
        since.zero = since.zero.saturating_sub(before.zero);
        for (index, count) in (before.offset..).zip(before.counts) {
            let place = usize::try_from(index - since.offset).ok();
            if let Some(now) = place.and_then(|place| since.counts.get_mut(place)) {
                *now = now.saturating_sub(count);
            }
        }
        since.trim();
        since
    }

    /// The same counts in buckets of this scale, if they are finer now.
    pub fn at_most(&self, scale: i32) -> Self {
        let mut coarser = self.clone();
        coarser.coarsen((self.scale - scale).max(0));
        coarser
    }

    /// Makes the buckets coarser until they are few enough: each step puts two into one.
    fn coarsen(&mut self, steps: i32) {
        if steps == 0 {
            return;
        }
        let fine = std::mem::take(&mut self.counts);
        let first = self.offset;
        self.scale -= steps;
        for (index, count) in (first..).zip(fine) {
            self.add_at(shifted(index, steps), count);
        }
    }

    fn add_at(&mut self, index: i32, count: u64) {
        if self.counts.is_empty() {
            self.offset = index;
        }
        while index < self.offset {
            self.counts.push_front(0);
            self.offset -= 1;
        }
        let place = (index - self.offset) as usize;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += count;
    }

    /// Steps by which the buckets must be coarser to take one more at `index`.
    fn too_wide_with(&self, index: i32) -> i32 {
        if self.counts.is_empty() {
            return 0;
        }
        let last = i64::from(self.offset) + self.counts.len() as i64 - 1;
        let mut first = i64::from(self.offset.min(index));
        let mut last = last.max(i64::from(index));
        let mut steps = 0;
        while last - first >= BUCKETS_MOST {
            first >>= 1;
            last >>= 1;
            steps += 1;
        }
        steps
    }

    fn trim(&mut self) {
        while self.counts.back() == Some(&0) {
            self.counts.pop_back();
        }
        while self.counts.front() == Some(&0) {
            self.counts.pop_front();
            self.offset += 1;
        }
    }
}

/// The bucket at a scale that is coarser by `steps`.
fn shifted(index: i32, steps: i32) -> i32 {
    index >> steps.min(31)
}

/// The bucket of a value above 0. Powers of 2 lie exactly on bounds and are found without logarithms.
fn index(value: f64, scale: i32) -> i32 {
    // Numbers below the smallest normal one count as that.
    let bits = value.max(f64::MIN_POSITIVE).to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let exponent = (bits >> FRACTION_BITS) as i32 - EXPONENT_BIAS;
    if fraction == 0 {
        // A bound belongs to the bucket below it.
        return if scale >= 0 {
            (exponent << scale) - 1
        } else {
            (exponent - 1) >> -scale
        };
    }
    if scale <= 0 {
        return exponent >> -scale;
    }
    let places = f64::from(1 << scale);
    let fine = (value.log2() * places).ceil() as i32 - 1;
    // Rounding must not lead out of the exponent.
    fine.clamp(exponent << scale, ((exponent + 1) << scale) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any normal number above 0, of every magnitude alike.
    fn value() -> impl Strategy<Value = f64> {
        (1_u64..0x7FF, 0_u64..1 << FRACTION_BITS)
            .prop_map(|(exponent, fraction)| f64::from_bits(exponent << FRACTION_BITS | fraction))
    }

    /// Values as durations and sizes are.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let usual = prop_oneof![Just(0.0), 1e-6..1e-3, 1e-3..10.0, 1.0..1e9, value()];
        prop::collection::vec(usual, 0..300)
    }

    fn filled(values: &[f64]) -> Exponential {
        let mut histogram = Exponential::default();
        for &value in values {
            histogram.add(value);
        }
        histogram
    }

    fn total(histogram: &Exponential) -> u64 {
        histogram.zero + histogram.counts.iter().sum::<u64>()
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_value(value in value(), scale in -10..=FINEST) {
            let index = f64::from(index(value, scale));
            let width = (-f64::from(scale)).exp2();
            let log = value.log2();
            // What rounding of the logarithm may do.
            let slack = 1e-12 * log.abs().max(1.0);
            prop_assert!(index * width <= log + slack && log <= (index + 1.0) * width + slack);
        }

        #[test]
        fn none_is_lost_and_there_are_never_too_many_buckets(values in values()) {
            let histogram = filled(&values);
            prop_assert_eq!(total(&histogram), values.len() as u64);
            prop_assert!(histogram.counts.len() as i64 <= BUCKETS_MOST);
            let zeros = values.iter().filter(|&&value| value == 0.0).count();
            prop_assert_eq!(histogram.zero, zeros as u64);
        }

        #[test]
        fn each_value_is_in_the_bucket_of_the_scale_that_came_out(values in values()) {
            let histogram = filled(&values);
            let mut direct = Exponential { scale: histogram.scale, ..Exponential::default() };
            for &value in &values {
                if value > 0.0 {
                    direct.add_at(shifted(index(value, FINEST), FINEST - histogram.scale), 1);
                } else {
                    direct.zero += 1;
                }
            }
            direct.offset = if direct.counts.is_empty() { histogram.offset } else { direct.offset };
            prop_assert_eq!(histogram, direct);
        }

        #[test]
        fn before_and_since_are_the_whole(before in values(), after in values()) {
            let earlier = filled(&before);
            let mut now = earlier.clone();
            for &value in &after {
                now.add(value);
            }
            let since = now.since(&earlier);
            prop_assert_eq!(total(&since), after.len() as u64);
            let mut whole = since;
            let mut earlier = earlier;
            earlier.coarsen(earlier.scale - now.scale);
            for (index, &count) in (earlier.offset..).zip(&earlier.counts) {
                whole.add_at(index, count);
            }
            whole.trim();
            now.trim();
            if !now.counts.is_empty() {
                prop_assert_eq!((whole.offset, whole.counts), (now.offset, now.counts));
            }
        }
    }

    #[test]
    fn powers_of_two_are_bounds_and_belong_below() {
        for scale in -3..=FINEST {
            for exponent in [-1000, -4, -1, 0, 1, 3, 1000] {
                let bound = f64::from(exponent).exp2();
                let upper = (f64::from(index(bound, scale)) + 1.0) * (-f64::from(scale)).exp2();
                let fits = if scale >= 0 {
                    (upper - f64::from(exponent)).abs() < f64::EPSILON
                } else {
                    upper >= f64::from(exponent)
                };
                assert!(fits, "2^{exponent} at scale {scale}");
            }
        }
        assert_eq!(index(1.0, 0), -1);
        assert_eq!(index(1.5, 0), 0);
        assert_eq!(index(2.0, 0), 0);
        assert_eq!(index(4.0, -1), 0);
        assert_eq!(index(5.0, -1), 1);
        assert_eq!(index(f64::MIN_POSITIVE / 4.0, 0), -1023);
    }
}

//! Units of measure and currencies: names, dimensions and exact conversion factors.

use dashu_int::IBig;
use dashu_ratio::RBig;

use crate::expression::Name;

/// Length, mass, time, angle, money, temperature, volume-free: powers of the base dimensions.
type Dimensions = [i8; 7];

/// A product of powers of named units, as a factor over base units and their dimensions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    /// Exact value in base units; one where only the label counts.
    pub(crate) factor: RBig,
    dimensions: Dimensions,
    /// Words that are no unit of measure ("apples"), in the singular.
    label: Option<Name>,
    /// The spelling, for a lone letter that may be read as a unit.
    pub(crate) symbol: Name,
}

impl Unit {
    /// Looks a unit up by a spelling in lower or mixed case.
    pub(crate) fn named(word: &str) -> Option<Self> {
        let (factor, dimensions) = lookup(word).or_else(|| lookup(&word.to_lowercase())).or_else(|| {
            let lower = word.to_lowercase();
            let singular = lower.strip_suffix("es").and_then(lookup);
            singular.or_else(|| lower.strip_suffix('s').and_then(lookup))
        })?;
        Some(Self { factor, dimensions, label: None, symbol: word.into() })
    }

    /// Whether a unit is spelled just so: `kW`, not `Kw`.
    pub(crate) fn is_spelled(word: &str) -> bool {
        lookup(word).is_some()
    }

    /// A count of things that have no dimension.
    pub(crate) fn label(word: &str) -> Self {
        let lower = word.to_lowercase();
        let singular = lower.strip_suffix("es").or_else(|| lower.strip_suffix('s')).unwrap_or(&lower);
        Self {
            factor: RBig::ONE,
            dimensions: [0; 7],
            label: Some(singular.trim_end_matches('e').into()),
            symbol: word.into(),
        }
    }

    /// This unit times the other's `power`-th power.
    pub(crate) fn times(mut self, other: &Self, power: i8) -> Option<Self> {
        if power == 0 || power.unsigned_abs() > 6 {
            return None;
        }
        for _ in 0..power.unsigned_abs() {
            if power > 0 {
                self.factor = &self.factor * &other.factor;
            } else {
                self.factor = &self.factor / &other.factor;
            }
        }
        for (mine, theirs) in self.dimensions.iter_mut().zip(other.dimensions) {
            *mine = mine.checked_add(theirs.checked_mul(power)?)?;
        }
        if let Some(label) = &other.label {
            let joined = match &self.label {
                Some(mine) => format!("{mine} {label}"),
                None => format!("{label}^{power}"),
            };
            self.label = Some(joined.into());
        }
        Some(self)
    }

    /// The unit without dimension, to start a product.
    pub(crate) fn none() -> Self {
        Self { factor: RBig::ONE, dimensions: [0; 7], label: None, symbol: "".into() }
    }

    /// Whether values in the two units can be compared at all.
    pub(crate) fn converts_to(&self, other: &Self) -> bool {
        self.dimensions == other.dimensions && self.label == other.label
    }

    /// Whether this is an angle.
    pub(crate) fn is_angle(&self) -> bool {
        self.dimensions == [0, 0, 0, 1, 0, 0, 0] && self.label.is_none()
    }

    /// Whether powers of the unit are units that people use.
    pub(crate) fn may_be_raised(&self) -> bool {
        let [length, mass, _, angle, money, heat, other] = self.dimensions;
        // times, and months and years
        let is_time = [length, mass, angle, money, heat, other] == [0; 6];
        !is_time || self.symbol.len() < 2
    }

    /// Whether this is an angle measured along the circle.
    pub(crate) fn is_radians(&self) -> bool {
        self.dimensions == [0, 0, 0, 2, 0, 0, 0] && self.label.is_none()
    }

    /// Whether this merely names the things counted.
    pub(crate) fn is_label(&self) -> bool {
        self.label.is_some() && self.dimensions == [0; 7]
    }
}

fn ratio(numerator: i64, denominator: u64) -> RBig {
    RBig::from_parts(IBig::from(numerator), denominator.into())
}

/// So many electronvolts in joules, exact by the definition of 2019.
fn electronvolts(count: i64) -> RBig {
    ratio(1_602_176_634, 1_000_000_000_000_000_000) * ratio(count, 10_000_000_000)
}

#[rustfmt::skip]
fn lookup(word: &str) -> Option<(RBig, Dimensions)> {
    const LENGTH: Dimensions = [1, 0, 0, 0, 0, 0, 0];
    const AREA: Dimensions = [2, 0, 0, 0, 0, 0, 0];
    const VOLUME: Dimensions = [3, 0, 0, 0, 0, 0, 0];
    const MASS: Dimensions = [0, 1, 0, 0, 0, 0, 0];
    const TIME: Dimensions = [0, 0, 1, 0, 0, 0, 0];
    const ANGLE: Dimensions = [0, 0, 0, 1, 0, 0, 0];
    const RADIANS: Dimensions = [0, 0, 0, 2, 0, 0, 0];
    const DOLLAR: Dimensions = [0, 0, 0, 0, 1, 0, 0];
    const EURO: Dimensions = [0, 0, 0, 0, 2, 0, 0];
    const POUND_STERLING: Dimensions = [0, 0, 0, 0, 3, 0, 0];
    const YEN: Dimensions = [0, 0, 0, 0, 4, 0, 0];
    const RUPEE: Dimensions = [0, 0, 0, 0, 5, 0, 0];
    const WON: Dimensions = [0, 0, 0, 0, 6, 0, 0];
    const YUAN: Dimensions = [0, 0, 0, 0, 7, 0, 0];
    const CELSIUS: Dimensions = [0, 0, 0, 0, 0, 1, 0];
    const FAHRENHEIT: Dimensions = [0, 0, 0, 0, 0, 2, 0];
    const KELVIN: Dimensions = [0, 0, 0, 0, 0, 3, 0];
    const SPEED: Dimensions = [1, 0, -1, 0, 0, 0, 0];
    const FORCE: Dimensions = [1, 1, -2, 0, 0, 0, 0];
    const ENERGY: Dimensions = [2, 1, -2, 0, 0, 0, 0];
    const POWER: Dimensions = [2, 1, -3, 0, 0, 0, 0];
    const FREQUENCY: Dimensions = [0, 0, -1, 0, 0, 0, 0];
    const CHARGE: Dimensions = [0, 0, 0, 0, 0, 0, 1];
    const CURRENT: Dimensions = [0, 0, -1, 0, 0, 0, 1];
    const VOLTAGE: Dimensions = [2, 1, -2, 0, 0, 0, -1];
    const RESISTANCE: Dimensions = [2, 1, -1, 0, 0, 0, -2];
    const PRESSURE: Dimensions = [-1, 1, -2, 0, 0, 0, 0];
    const AMOUNT: Dimensions = [0, 0, 0, 0, 0, 4, 0];
    Some(match word {
        "m" | "meter" | "metre" => (ratio(1, 1), LENGTH),
        "km" | "kilometer" | "kilometre" => (ratio(1000, 1), LENGTH),
        "cm" | "centimeter" | "centimetre" => (ratio(1, 100), LENGTH),
        "mm" | "millimeter" | "millimetre" => (ratio(1, 1000), LENGTH),
        "dm" | "decimeter" => (ratio(1, 10), LENGTH),
        "nm" | "nanometer" => (ratio(1, 1_000_000_000), LENGTH),
        "μm" | "um" | "micrometer" | "micron" => (ratio(1, 1_000_000), LENGTH),
        "in" | "inch" => (ratio(254, 10_000), LENGTH),
        "ft" | "foot" | "feet" => (ratio(3048, 10_000), LENGTH),
        "yd" | "yard" => (ratio(9144, 10_000), LENGTH),
        "mi" | "mile" => (ratio(1_609_344, 1000), LENGTH),
        "ha" | "hectare" => (ratio(10_000, 1), AREA),
        "acre" => (ratio(40_468_564_224, 10_000_000), AREA),
        "l" | "L" | "liter" | "litre" => (ratio(1, 1000), VOLUME),
        "ml" | "mL" | "milliliter" | "millilitre" | "cc" => (ratio(1, 1_000_000), VOLUME),
        "gallon" | "gal" => (ratio(3_785_411_784, 1_000_000_000_000), VOLUME),
        "quart" | "qt" => (ratio(946_352_946, 1_000_000_000_000), VOLUME),
        "pint" => (ratio(473_176_473, 1_000_000_000_000), VOLUME),
        "kg" | "kilogram" | "kilo" => (ratio(1, 1), MASS),
        "g" | "gram" | "gm" => (ratio(1, 1000), MASS),
        "mg" | "milligram" => (ratio(1, 1_000_000), MASS),
        "ton" | "tonne" => (ratio(1000, 1), MASS),
        "lb" | "pound" => (ratio(45_359_237, 100_000_000), MASS),
        "oz" | "ounce" => (ratio(45_359_237, 1_600_000_000), MASS),
        "s" | "sec" | "second" => (ratio(1, 1), TIME),
        "ms" | "millisecond" => (ratio(1, 1000), TIME),
        "min" | "minute" => (ratio(60, 1), TIME),
        "h" | "hr" | "hour" => (ratio(3600, 1), TIME),
        "d" | "day" => (ratio(86_400, 1), TIME),
        "wk" | "week" => (ratio(604_800, 1), TIME),
        "month" => (ratio(1, 1), [0, 0, 3, 0, 0, 0, 0]),
        "yr" | "year" => (ratio(12, 1), [0, 0, 3, 0, 0, 0, 0]),
        "degree" | "deg" | "°" => (ratio(1, 1), ANGLE),
        "radian" | "rad" => (ratio(1, 1), RADIANS),
        "$" | "dollar" | "usd" | "buck" => (ratio(1, 1), DOLLAR),
        "cent" | "¢" | "penny" | "pennies" => (ratio(1, 100), DOLLAR),
        "€" | "euro" | "eur" => (ratio(1, 1), EURO),
        "£" | "gbp" => (ratio(1, 1), POUND_STERLING),
        "¥" | "yen" | "jpy" => (ratio(1, 1), YEN),
        "₹" | "rupee" | "rs" | "inr" => (ratio(1, 1), RUPEE),
        "₩" | "won" | "krw" | "원" => (ratio(1, 1), WON),
        "yuan" | "rmb" | "元" => (ratio(1, 1), YUAN),
        "celsius" | "°c" => (ratio(1, 1), CELSIUS),
        "fahrenheit" | "°f" => (ratio(1, 1), FAHRENHEIT),
        "K" | "kelvin" => (ratio(1, 1), KELVIN),
        "mph" => (ratio(1_609_344, 3_600_000), SPEED),
        "kmh" | "kph" => (ratio(1000, 3600), SPEED),
        "N" | "newton" => (ratio(1, 1), FORCE),
        "J" | "joule" => (ratio(1, 1), ENERGY),
        "kJ" | "kj" => (ratio(1000, 1), ENERGY),
        "cal" | "calorie" => (ratio(4184, 1000), ENERGY),
        "kcal" | "kilocalorie" => (ratio(4184, 1), ENERGY),
        "kWh" | "kwh" => (ratio(3_600_000, 1), ENERGY),
        "eV" | "electronvolt" => (electronvolts(1), ENERGY),
        "meV" => (electronvolts(1) / RBig::from(1000), ENERGY),
        "keV" => (electronvolts(1000), ENERGY),
        "MeV" => (electronvolts(1_000_000), ENERGY),
        "GeV" => (electronvolts(1_000_000_000), ENERGY),
        "TeV" => (electronvolts(1_000_000_000_000), ENERGY),
        "W" | "watt" => (ratio(1, 1), POWER),
        "kW" | "kw" => (ratio(1000, 1), POWER),
        "Hz" | "hz" | "hertz" => (ratio(1, 1), FREQUENCY),
        "kHz" | "khz" => (ratio(1000, 1), FREQUENCY),
        "MHz" | "mhz" => (ratio(1_000_000, 1), FREQUENCY),
        "GHz" | "ghz" => (ratio(1_000_000_000, 1), FREQUENCY),
        "C" | "coulomb" => (ratio(1, 1), CHARGE),
        "A" | "amp" | "ampere" => (ratio(1, 1), CURRENT),
        "V" | "volt" => (ratio(1, 1), VOLTAGE),
        "Ω" | "ohm" => (ratio(1, 1), RESISTANCE),
        "kΩ" => (ratio(1000, 1), RESISTANCE),
        "μg" => (ratio(1, 1_000_000_000), MASS),
        "μs" => (ratio(1, 1_000_000), TIME),
        "μl" | "μL" => (ratio(1, 1_000_000_000), VOLUME),
        "μF" => (ratio(1, 1_000_000), [-2, -1, 2, 0, 0, 0, 2]),
        "μC" => (ratio(1, 1_000_000), CHARGE),
        "μA" => (ratio(1, 1_000_000), CURRENT),
        "μV" => (ratio(1, 1_000_000), VOLTAGE),
        "Pa" | "pascal" => (ratio(1, 1), PRESSURE),
        "hPa" => (ratio(100, 1), PRESSURE),
        "kPa" => (ratio(1000, 1), PRESSURE),
        "MPa" => (ratio(1_000_000, 1), PRESSURE),
        "GPa" => (ratio(1_000_000_000, 1), PRESSURE),
        "atm" | "atmosphere" => (ratio(101_325, 1), PRESSURE),
        "mol" | "mole" => (ratio(1, 1), AMOUNT),
        _ => return None,
    })
}

//! Floating point: `math.h`. The same ABI and the same functions; std has them all.

// UNSAFETY: exported names only; the bodies are safe.
#![expect(unsafe_code, reason = "exported to the generated libraries")]

macro_rules! functions {
    ($($name:ident($($argument:ident),*) = $body:expr;)*) => {$(
        #[unsafe(export_name = concat!("illumos_", stringify!($name)))]
        extern "C" fn $name($($argument: f64),*) -> f64 {
            $body
        }
    )*};
}

functions! {
    acos(x) = x.acos();
    acosh(x) = x.acosh();
    asin(x) = x.asin();
    asinh(x) = x.asinh();
    atan(x) = x.atan();
    atan2(y, x) = y.atan2(x);
    atanh(x) = x.atanh();
    cbrt(x) = x.cbrt();
    ceil(x) = x.ceil();
    cos(x) = x.cos();
    cosh(x) = x.cosh();
    exp(x) = x.exp();
    exp2(x) = x.exp2();
    expm1(x) = x.exp_m1();
    fabs(x) = x.abs();
    floor(x) = x.floor();
    fma(x, y, z) = x.mul_add(y, z);
    fmax(x, y) = x.max(y);
    fmin(x, y) = x.min(y);
    fmod(x, y) = x % y;
    hypot(x, y) = x.hypot(y);
    log(x) = x.ln();
    log10(x) = x.log10();
    log1p(x) = x.ln_1p();
    log2(x) = x.log2();
    pow(x, y) = x.powf(y);
    rint(x) = x.round_ties_even();
    round(x) = x.round();
    sin(x) = x.sin();
    sinh(x) = x.sinh();
    sqrt(x) = x.sqrt();
    tan(x) = x.tan();
    tanh(x) = x.tanh();
    trunc(x) = x.trunc();
}

//! Metrics whose number of time series is known when the program is compiled.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::get;
use http::header;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{counter, gauge, histogram};
use prometheus_client::registry::Registry;

type Pairs = Vec<(&'static str, &'static str)>;

/// One label: an enum. A value that comes from a request cannot be one, since it is not static
/// (CVE-2026-49835: paths as labels fill the memory).
pub trait Label {
    /// The label's name.
    const NAME: &'static str;
    /// This value's text.
    fn value(&self) -> &'static str;
}

/// No label, one, two or three.
pub trait Labels {
    /// Names and values.
    fn pairs(&self) -> Vec<(&'static str, &'static str)>;
}

impl Labels for () {
    fn pairs(&self) -> Pairs {
        Vec::new()
    }
}

impl<A: Label> Labels for A {
    fn pairs(&self) -> Pairs {
        vec![(A::NAME, self.value())]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    fn pairs(&self) -> Pairs {
        vec![(A::NAME, self.0.value()), (B::NAME, self.1.value())]
    }
}

impl<A: Label, B: Label, C: Label> Labels for (A, B, C) {
    fn pairs(&self) -> Pairs {
        vec![
            (A::NAME, self.0.value()),
            (B::NAME, self.1.value()),
            (C::NAME, self.2.value()),
        ]
    }
}

/// A registry of metrics. Clones share it.
#[derive(Clone, Default)]
pub struct Meter(Arc<Mutex<Registry>>);

impl Meter {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A count that only grows. Its name on the wire ends in `_total`.
    #[must_use]
    pub fn counter<L: Labels>(&self, name: &'static str, help: &'static str) -> Counter<L> {
        let family = Family::default();
        self.with(|registry| registry.register(name, help, family.clone()));
        Counter {
            family,
            labels: std::marker::PhantomData,
        }
    }

    /// A value that goes up and down.
    #[must_use]
    pub fn gauge<L: Labels>(&self, name: &'static str, help: &'static str) -> Gauge<L> {
        let family = Family::default();
        self.with(|registry| registry.register(name, help, family.clone()));
        Gauge {
            family,
            labels: std::marker::PhantomData,
        }
    }

    /// A distribution over buckets, given by their upper ends.
    #[must_use]
    pub fn histogram<L: Labels>(
        &self,
        name: &'static str,
        help: &'static str,
        buckets: &'static [f64],
    ) -> Histogram<L> {
        let family = Family::new_with_constructor(Buckets(buckets));
        self.with(|registry| registry.register(name, help, family.clone()));
        Histogram {
            family,
            labels: std::marker::PhantomData,
        }
    }

    /// The registry itself, for this crate's own metrics.
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut Registry) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every metric in the OpenMetrics text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = self.with(|registry| encode(&mut text, registry));
        text
    }

    /// `GET /metrics`. Serve it where only the operator can reach it.
    pub fn router(&self) -> Router {
        const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let meter = self.clone();
        let answer = async move || ([(header::CONTENT_TYPE, OPEN_METRICS)], meter.text());
        Router::new().route("/metrics", get(answer))
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

macro_rules! debug_by_name {
    ($($name:ident)*) => {$(
        impl<L> fmt::Debug for $name<L> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        impl<L> Clone for $name<L> {
            fn clone(&self) -> Self {
                Self { family: self.family.clone(), labels: std::marker::PhantomData }
            }
        }
    )*};
}

debug_by_name!(Counter Gauge Histogram);

/// A count that only grows, for each value of its labels.
pub struct Counter<L> {
    family: Family<Pairs, counter::Counter>,
    labels: std::marker::PhantomData<fn(&L)>,
}

impl<L: Labels> Counter<L> {
    /// Adds.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "labels are small enums, written in place"
    )]
    pub fn add(&self, labels: L, n: u64) {
        self.family.get_or_create(&labels.pairs()).inc_by(n);
    }

    /// The count so far.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "labels are small enums, written in place"
    )]
    pub fn count(&self, labels: L) -> u64 {
        self.family.get_or_create(&labels.pairs()).get()
    }
}

/// A value that goes up and down, for each value of its labels.
pub struct Gauge<L> {
    family: Family<Pairs, gauge::Gauge<f64, AtomicU64>>,
    labels: std::marker::PhantomData<fn(&L)>,
}

impl<L: Labels> Gauge<L> {
    /// Sets.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "labels are small enums, written in place"
    )]
    pub fn set(&self, labels: L, value: f64) {
        self.family.get_or_create(&labels.pairs()).set(value);
    }
}

/// A distribution, for each value of its labels.
pub struct Histogram<L> {
    family: Family<Pairs, histogram::Histogram, Buckets>,
    labels: std::marker::PhantomData<fn(&L)>,
}

impl<L: Labels> Histogram<L> {
    /// Counts one observation.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "labels are small enums, written in place"
    )]
    pub fn observe(&self, labels: L, value: f64) {
        self.family.get_or_create(&labels.pairs()).observe(value);
    }
}

#[derive(Clone)]
struct Buckets(&'static [f64]);

impl prometheus_client::metrics::family::MetricConstructor<histogram::Histogram> for Buckets {
    fn new_metric(&self) -> histogram::Histogram {
        histogram::Histogram::new(self.0.iter().copied())
    }
}

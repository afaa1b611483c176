//! Shows waits as OpenTelemetry's spans: the polls of each are its children. `cargo run --example tracing_otel`
#![expect(clippy::disallowed_methods, reason = "a service takes its time")]
#![expect(clippy::print_stdout, reason = "this is what the example shows")]

use std::error::Error;
use std::time::Duration;

use cfw_waiter::{JobState, Policy, Schedule, Waiter, source_fn};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Prints each span when it ends. A program has an exporter of `opentelemetry-otlp` in its place.
#[derive(Debug)]
struct Printer;

impl SpanExporter for Printer {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        for span in spans {
            let taken = span.end_time.duration_since(span.start_time).unwrap_or_default();
            let fields = span.attributes.iter().filter(|field| {
                matches!(field.key.as_str(), "job" | "outcome" | "polls" | "answer")
            });
            let fields: Vec<_> =
                fields.map(|field| format!("{}={}", field.key, field.value)).collect();
            let events: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
            println!(
                "{} in {} of trace {}: {} ({taken:.0?}) {} {events:?}",
                span.span_context.span_id(),
                span.parent_span_id,
                span.span_context.trace_id(),
                span.name,
                fields.join(" "),
            );
            for link in span.links.iter() {
                println!(
                    "    linked to {} of trace {}",
                    link.span_context.span_id(),
                    link.span_context.trace_id()
                );
            }
        }
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = SdkTracerProvider::builder().with_simple_exporter(Printer).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("jobs"));
    // Spans of waits and polls are at level debug.
    tracing_subscriber::registry().with(LevelFilter::DEBUG).with(layer).init();

    let started = tokio::time::Instant::now();
    let source = source_fn(move |_id| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let is_done = started.elapsed() > Duration::from_millis(300);
        Ok(if is_done { JobState::succeeded() } else { JobState::running() })
    });
    let policy = Policy::new().schedule(Schedule::fixed(Duration::from_millis(150))?);
    let waiter = Waiter::builder(source)
        .min_interval(Duration::from_millis(100))
        .policy(policy.first_poll_at_once(true))
        .build()?;
    // Both wait for one job, which is polled once for both: the polls are children of the first and linked to the second.
    let (first, second) = tokio::join!(waiter.wait_for_job("job-1"), waiter.wait_for_job("job-1"));
    println!("{} polls for one wait, {} for the other", first?.polls, second?.polls);
    provider.shutdown()?;
    Ok(())
}

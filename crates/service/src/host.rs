//! A service of exactly-once jobs over one stream, from its start to its end.

use std::any::Any;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use millrace_catalog::{PIPELINES, Service, topic_spec};
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_runtime::{Job, JobConfig, Jobs, check_settings};
use millrace_settings::{EventTime, Settings, StreamJobs, Worker};
use millrace_telemetry::{Component, Health, Shutdown};

use crate::{Instance, job_config, source, topics};

/// What a service is run with.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// Which it is: the catalog has its name and its jobs.
    pub service: Service,
    /// The worker loops.
    pub worker: &'a Worker,
    /// Which event times are possible, and their disorder.
    pub event_time: &'a EventTime,
    /// The stream that its first jobs read, before any prefix.
    pub stream: &'a str,
}

type Start = Box<dyn FnOnce(&mut Jobs, JobConfig, Component)>;

/// Jobs that are ready to be started.
pub struct Prepared {
    source: Arc<SourcePartitions>,
    jobs: Vec<(String, Start)>,
    beside: Vec<Box<dyn Any + Send>>,
}

impl Prepared {
    /// No jobs yet, over these partitions of the stream: where others are added, all jobs are
    /// prepared anew.
    #[must_use]
    pub fn over(source: &Arc<SourcePartitions>) -> Self {
        Self {
            source: Arc::clone(source),
            jobs: Vec::new(),
            beside: Vec::new(),
        }
    }

    /// With one job more.
    #[must_use]
    pub fn with<J: Job>(mut self, job: J) -> Self {
        let name = job.name().to_owned();
        let start = move |jobs: &mut Jobs, config, component| jobs.start(job, config, component);
        self.jobs.push((name, Box::new(start)));
        self
    }

    /// With something that goes on beside the jobs, and is dropped when they have ended.
    #[must_use]
    pub fn beside(mut self, guard: impl Send + 'static) -> Self {
        self.beside.push(Box::new(guard));
        self
    }
}

/// Refuses to run a service that its section does not enable.
///
/// # Errors
/// It does not.
pub fn check_enabled(settings: &Settings, service: Service) -> anyhow::Result<()> {
    ensure!(
        settings.installation().enables(service),
        "{}.enabled is false: set it to true, and run `millrace init`, which makes the topics",
        service.section()
    );
    Ok(())
}

impl<'a> Host<'a> {
    /// The service of a stream that is there where its section enables it.
    ///
    /// # Errors
    /// It is not enabled.
    pub fn of_stream(
        settings: &Settings,
        service: Service,
        jobs: StreamJobs<'a>,
        stream: &'a str,
    ) -> anyhow::Result<Self> {
        check_enabled(settings, service)?;
        Ok(Self {
            service,
            worker: jobs.worker,
            event_time: jobs.event_time,
            stream,
        })
    }

    /// Runs what `prepare` makes until `shutdown`, then lets it commit what it has. Each of the
    /// jobs that the catalog has of the service is a part of readiness.
    ///
    /// # Errors
    /// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new
    /// start goes on from the last commit.
    pub async fn run(
        &self,
        settings: &Settings,
        shutdown: &Shutdown,
        prepare: impl AsyncFn() -> anyhow::Result<Prepared>,
    ) -> anyhow::Result<()> {
        let name = self.service.name();
        let health = Health::new(name);
        let jobs = PIPELINES.iter().flat_map(|pipeline| pipeline.jobs);
        let own = jobs.filter(|job| job.service == self.service);
        let components: Vec<_> = own.map(|job| (job.name, health.component(job.name))).collect();
        check_settings(settings, self.worker)?;
        let (host, port) = (&settings.telemetry.bind_host, settings.metrics_port(self.service));
        let server = millrace_telemetry::serve(host, port, health.clone(), shutdown.clone())?;
        // Once in a process.
        let instance_key = String::leak(format!("{}.worker.instance", self.service.section()));
        let instance = Instance::claim(
            &settings.kafka,
            name,
            instance_key,
            self.worker.instance.as_deref(),
            server.address().port(),
        )?;
        // What our own jobs write has no times that others say.
        if topic_spec(self.stream).is_some_and(|spec| spec.log_append_time) {
            source::warn_of_create_time(&settings.kafka, &topic_name(&settings.kafka, self.stream));
        }
        let config = job_config(settings, self.worker, self.event_time, &instance);
        loop {
            let prepared = tokio::select! {
                prepared = self.prepared(settings, &prepare) => prepared,
                () = shutdown.wait() => return Ok(()),
            };
            if shutdown.is_triggered() {
                return Ok(());
            }
            let prepared = prepared?;
            let mut running = Jobs::new(shutdown.clone());
            for (name, start) in prepared.jobs {
                let known = components.iter().find(|(known, _)| *known == name);
                let (_, component) = known
                    .with_context(|| format!("the catalog has no job {name} of {}", self.service.name()))?;
                start(&mut running, config.clone(), component.clone());
            }
            let ended = running.finish().await;
            drop(prepared.beside);
            if shutdown.is_triggered() || !topics::have_grown(prepared.source, &ended).await? {
                return ended;
            }
        }
    }

    /// Prepares the jobs for the partitions that there are, and the control topics too.
    async fn prepared(
        &self,
        settings: &Settings,
        prepare: &impl AsyncFn() -> anyhow::Result<Prepared>,
    ) -> anyhow::Result<Prepared> {
        let prepared = prepare().await?;
        topics::extend_controls(settings).await?;
        Ok(prepared)
    }
}

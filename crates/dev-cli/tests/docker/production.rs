//! What production runs: the image, its layers, the container.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Finished;
use crate::support::docker::finish;
use crate::support::project::image_name;
use crate::support::{Project, docker, eventually};

const PRODUCTION: &str = "emotionviz-test:production";
const CONTENT_LIMIT: u64 = 30 << 20;
const SECRET: &str = "planted-8c1f7be2-secret";

fn build(project: &Project) -> Finished {
    let mut build = Command::new("docker");
    build.args([
        "build",
        "--quiet",
        "--file",
        "backend/Dockerfile",
        "--target",
        "production",
        "--tag",
        PRODUCTION,
        "--build-arg",
        "VERSION=test",
        ".",
    ]);
    build
        .current_dir(project.root())
        .env("DOCKER_BUILDKIT", "1");
    finish(build, b"").expect_code(0)
}

/// Whether a text is in any layer, or in the configuration, of an image.
fn holds(image: &str, text: &str) -> bool {
    let mut save = Command::new("sh");
    save.args([
        "-c",
        "docker save \"$1\" | grep --quiet --binary --fixed-strings \"$2\"",
        "-",
        image,
        text,
    ]);
    finish(save, b"").code == 0
}

#[test]
#[ignore = "long: Docker"]
fn the_production_image_is_small_hardened_and_runs() {
    let Some(project) = Project::new() else {
        return;
    };
    for file in [
        ".env",
        "backend/.env",
        "backend/.env.production",
        "backup.sql",
        "backend/debug.log",
    ] {
        project.write(file, &format!("JWT_SECRET_KEY={SECRET}\n"));
    }
    std::fs::create_dir_all(project.path("data/postgres")).unwrap();
    project.write("data/postgres/secret", SECRET);
    build(&project);
    project.ok(&["build", "--quiet", "api"]);
    for image in [PRODUCTION, &image_name()] {
        assert!(!holds(image, SECRET), "a secret is in {image}");
    }
    assert!(
        holds(PRODUCTION, "JWT_SECRET_KEY"),
        "the search finds what is there"
    );

    let size: u64 = docker(&["image", "inspect", "--format", "{{.Size}}", PRODUCTION])
        .text()
        .parse()
        .unwrap();
    eprintln!(
        "content of the production image: {:.1} MB",
        size as f64 / 1e6
    );
    assert!(size <= CONTENT_LIMIT, "{size} bytes");
    let config = docker(&[
        "image",
        "inspect",
        "--format",
        "{{.Config.User}} {{json .Config.ExposedPorts}} {{.Config.Healthcheck.Test}}",
        PRODUCTION,
    ]);
    assert_eq!(
        config.text(),
        r#"10001:10001 {"8000/tcp":{}} [CMD /emotionviz healthcheck]"#
    );
    let label = docker(&[
        "image",
        "inspect",
        "--format",
        "{{index .Config.Labels \"org.opencontainers.image.version\"}}",
        PRODUCTION,
    ]);
    assert_eq!(label.text(), "test");

    let created = docker(&["create", PRODUCTION]);
    let mut list = Command::new("sh");
    list.args([
        "-c",
        "docker export \"$1\" | tar --list | grep --invert-match '/$' | sort",
        "-",
        created.text(),
    ]);
    let files = finish(list, b"").expect_code(0).stdout;
    docker(&["rm", created.text()]);
    let ours: Vec<_> = files
        .lines()
        .filter(|file| {
            ![
                "etc/hosts",
                "etc/hostname",
                "etc/resolv.conf",
                "etc/mtab",
                "dev/",
                ".dockerenv",
            ]
            .iter()
            .any(|made| file.starts_with(made))
        })
        .collect();
    assert_eq!(
        ours,
        ["emotionviz", "etc/ssl/certs/ca-certificates.crt"],
        "the program, the roots of trust, nothing else"
    );
    it_runs(&project);
}

fn it_runs(project: &Project) {
    std::fs::remove_file(project.path(".env")).unwrap();
    std::fs::remove_file(project.path("backend/.env")).unwrap();
    std::fs::remove_dir_all(project.path("data/postgres")).unwrap();
    project.ok(&["up", "-d", "--wait", "db"]);
    project.sql("ALTER ROLE emotionviz_api LOGIN PASSWORD $$of the api$$; ALTER ROLE emotionviz PASSWORD $$of the owner$$");
    let network = format!("{}_database", project.name());
    let name = format!("{}-production", project.name());
    let run = |name: &[&str], url: &str, command: &[&str]| {
        let hardened = [
            "--network",
            &network,
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            "--memory=64m",
        ];
        let url = [
            "--env",
            url,
            "--env",
            "JWT_SECRET_KEY=a key that is only for this test, 32+ bytes",
        ];
        docker(&[&["run"], name, &hardened, &url, &[PRODUCTION], command].concat())
    };
    let owner = "DATABASE_URL=postgres://emotionviz:of%20the%20owner@db/emotionviz_db";
    run(&["--rm"], owner, &["migrate", "up"]).says("applied");
    let api = "DATABASE_URL=postgres://emotionviz_api:of%20the%20api@db/emotionviz_db";
    run(&["--name", &name, "--detach"], api, &[]);
    let _container = Container(name.clone());
    eventually("a ready service", || {
        let mut check = Command::new("docker");
        check.args(["exec", &name, "/emotionviz", "healthcheck"]);
        (finish(check, b"").code == 0).then_some(())
    });
    eventually("a healthy container", || {
        (docker(&["inspect", "--format", "{{.State.Health.Status}}", &name]).text() == "healthy")
            .then_some(())
    });
    let usage = docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", &name]);
    eprintln!("memory of the production container: {}", usage.text());
    let started = Instant::now();
    docker(&["stop", "--time", "10", &name]);
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "SIGTERM ends it"
    );
    let ended = docker(&[
        "inspect",
        "--format",
        "{{.State.ExitCode}} {{.State.OOMKilled}}",
        &name,
    ]);
    assert_eq!(ended.text(), "0 false");
    assert!(
        docker(&["logs", &name])
            .stdout
            .contains("stopping on SIGTERM")
    );
}

/// A container that is removed, however the test ends.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let mut remove = Command::new("docker");
        remove.args(["rm", "--force", &self.0]);
        finish(remove, b"");
    }
}

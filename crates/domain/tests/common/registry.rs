//! A registry that answers as the test says.

use axum::Router;
use millrace_registry::{RegistryConfig, Tls};

/// One at an address.
pub fn at(url: String) -> RegistryConfig {
    RegistryConfig {
        url,
        username: None,
        password: None,
        timeout_ms: 60_000,
        tls: Tls::default(),
    }
}

/// Serves on a thread of its own, as the readers under test block theirs; gives the address.
pub fn serve(routes: Router) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
    });
    format!("http://{address}")
}

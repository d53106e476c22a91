//! The messages and the service, compiled from `proto/` by `tests/generated.rs`.

pub mod dev {
    pub mod sigstore {
        pub mod common {
            #[rustfmt::skip]
            pub mod v1;
        }
        pub mod rekor {
            #[rustfmt::skip]
            pub mod v1;
            #[rustfmt::skip]
            pub mod v2;
        }
    }
}

pub mod google {
    #[rustfmt::skip]
    pub mod api;
    #[rustfmt::skip]
    pub mod rpc;
}

pub mod io {
    #[rustfmt::skip]
    pub mod intoto;
}

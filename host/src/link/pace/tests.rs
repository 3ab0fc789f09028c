use super::*;

fn in_paused_time<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

#[test]
fn a_second_of_them_comes_at_once_and_the_others_come_evenly() {
    in_paused_time(async {
        let start = Instant::now();
        let mut pace = Pace::new(100);
        for _ in 0..100 {
            assert!(!pace.take().await);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..300 {
            pace.take().await;
        }
        let elapsed = start.elapsed();
        assert!((Duration::from_millis(2_950)..=Duration::from_millis(3_050)).contains(&elapsed), "{elapsed:?}");
    });
}

#[test]
fn whoever_keeps_to_the_rate_never_waits() {
    in_paused_time(async {
        let mut pace = Pace::new(10);
        for _ in 0..100 {
            tokio::time::advance(Duration::from_millis(100)).await;
            assert!(!pace.take().await);
        }
    });
}

//! Preparing batches on another thread.

use std::panic;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// Computes the items of an iterator on another thread, at most `ahead` of them before they are asked for. Their order
/// and values are those of the iterator.
///
/// It pays where an item takes long to prepare beside a training step: to decode a file, or to distort an image.
/// Taking rows of a dataset in memory takes microseconds and does not pay.
///
/// The thread ends with the iterator, or when the items are dropped. If the iterator panics, so does the call of `next`
/// that would have returned the item.
///
/// ```
/// use wengert_train::data::{Batches, digits, prefetch};
///
/// let (data, batches) = (digits(), Batches::new(1797).size(600));
/// let noisy = |rows: Vec<usize>| data.take_rows(&rows).numbers().as_slice().len();
/// let here: Vec<usize> = batches.epoch(0).map(noisy).collect();
///
/// let data = data.clone();
/// let there = prefetch(2, batches.epoch(0).map(move |rows| {
///     data.take_rows(&rows).numbers().as_slice().len() // Or something that takes longer.
/// }));
/// assert_eq!(there.collect::<Vec<_>>(), here);
/// ```
pub fn prefetch<I>(ahead: usize, items: I) -> Prefetch<I::Item>
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    let (sender, receiver) = sync_channel(ahead);
    let send_all =
        move || items.map(|item| sender.send(item)).take_while(Result::is_ok).for_each(drop);
    Prefetch { receiver: Some(receiver), thread: Some(thread::spawn(send_all)) }
}

/// Items that another thread computes: see [`prefetch`].
#[derive(Debug)]
pub struct Prefetch<T> {
    receiver: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T> Iterator for Prefetch<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let item = self.receiver.as_ref().and_then(|receiver| receiver.recv().ok());
        if item.is_none()
            && let Some(thread) = self.thread.take()
            && let Err(payload) = thread.join()
        {
            panic::resume_unwind(payload);
        }
        item
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        // The thread ends when it cannot send.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn items_keep_their_order() {
        for ahead in [0, 1, 5, 1000] {
            let items: Vec<usize> = prefetch(ahead, 0..100).collect();
            assert_eq!(items, (0..100).collect::<Vec<_>>());
        }
        let mut done = prefetch(1, 0..1);
        assert_eq!((done.next(), done.next(), done.next()), (Some(0), None, None));
    }

    #[test]
    fn the_thread_is_not_further_ahead_than_asked() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let counted = (0..).inspect(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let mut items = prefetch(3, counted);
        items.nth(9);
        drop(items);
        // Ten taken, three waiting, one in the hand of the thread.
        assert!(made.load(Ordering::SeqCst) <= 14);
    }

    #[test]
    fn a_panic_arrives_where_the_item_would() {
        let mut items = prefetch(4, (0..3).map(|i| if i == 2 { panic!("no item {i}") } else { i }));
        assert_eq!((items.next(), items.next()), (Some(0), Some(1)));
        let payload = panic::catch_unwind(panic::AssertUnwindSafe(|| items.next())).unwrap_err();
        assert_eq!(*payload.downcast::<String>().unwrap(), "no item 2");
    }
}

//! Splits of rows into a part to train on and a part held out.

use std::collections::HashMap;
use std::hash::Hash;

use rand::seq::SliceRandom;

use super::batches::generator;

/// The way to divide rows: by share, by count or into folds; at random, stratified by class, or by group.
///
/// ```
/// use wengert_train::data::{Parts, Split};
///
/// let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1];
/// let Parts { train, held_out } = Split::new(9).seed(1).stratified(&labels).share(1.0 / 3.0);
/// assert_eq!((train.len(), held_out.len()), (6, 3));
/// assert_eq!(held_out.iter().filter(|&&row| labels[row] == 1).count(), 1);
///
/// // Cross-validation: each row is held out once.
/// let folds = Split::new(9).folds(3);
/// let mut rows = folds.iter().flat_map(|parts| parts.held_out.clone()).collect::<Vec<_>>();
/// rows.sort();
/// assert_eq!(rows, (0..9).collect::<Vec<_>>());
/// ```
#[derive(Clone, Debug)]
pub struct Split {
    len: usize,
    seed: u64,
    shuffled: bool,
    by: By,
}

/// Rows to train on and rows held out, each in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows held out: to validate, or to test.
    pub held_out: Vec<usize>,
}

/// A property of rows that the parts respect.
#[derive(Clone, Debug)]
enum By {
    Nothing,
    /// A class of each row.
    Class(Vec<usize>),
    /// A group of each row, numbered from 0.
    Group(Vec<usize>),
}

impl Split {
    /// Makes a split of `len` rows. Default: at random, with seed 0.
    pub fn new(len: usize) -> Self {
        Self { len, seed: 0, shuffled: true, by: By::Nothing }
    }

    /// Sets the seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Holds out the last rows instead of random ones, for a series in time; folds are consecutive rows, and groups
    /// those that appear last. With classes, rows at equal distances in each class.
    pub fn in_order(mut self) -> Self {
        self.shuffled = false;
        self
    }

    /// Gives each part the same share of each class, to within one row.
    ///
    /// # Panics
    /// If there are not as many classes as rows, or the split is by group.
    #[track_caller]
    pub fn stratified<C: Eq + Hash>(self, classes: &[C]) -> Self {
        self.by(classes, By::Class(numbered(classes)))
    }

    /// Keeps the rows of a group together: no group is in two parts. A group may be a person, or a day.
    ///
    /// A share or count is then reached as nearly as whole groups in random order allow, without exceeding it
    /// unless the first group does.
    ///
    /// # Panics
    /// If there are not as many groups as rows, or the split is stratified.
    #[track_caller]
    pub fn by_group<G: Eq + Hash>(self, groups: &[G]) -> Self {
        self.by(groups, By::Group(numbered(groups)))
    }

    #[track_caller]
    fn by<T>(mut self, given: &[T], by: By) -> Self {
        let (len, found) = (self.len, given.len());
        assert!(
            found == len,
            "Split: expected a class or group for each of {len} rows, found {found}"
        );
        assert!(matches!(self.by, By::Nothing), "Split: either stratified or by group");
        self.by = by;
        self
    }

    /// Holds out this share of the rows, rounded to whole rows.
    ///
    /// # Panics
    /// If the share is not between 0 and 1.
    #[track_caller]
    pub fn share(&self, held_out: f64) -> Parts {
        assert!((0.0..=1.0).contains(&held_out), "Split: a share is from 0 to 1, found {held_out}");
        self.count((held_out * self.len as f64).round() as usize)
    }

    /// Holds out this number of rows.
    ///
    /// # Panics
    /// If there are fewer rows.
    #[track_caller]
    pub fn count(&self, held_out: usize) -> Parts {
        let len = self.len;
        assert!(held_out <= len, "Split: cannot hold out {held_out} of {len} rows");
        match &self.by {
            By::Nothing => self.parts(|place, _| place >= len - held_out),
            // Every (len / held_out)-th row of a list sorted by class.
            By::Class(_) => self.parts(|place, _| {
                let before = |place: usize| place as u128 * held_out as u128 / len as u128;
                before(place + 1) > before(place)
            }),
            By::Group(groups) => {
                let mut taken = vec![false; len];
                let mut left = held_out;
                for group in self.members(groups) {
                    let first = left == held_out && held_out > 0;
                    if group.len() <= left || first && group.len() < len {
                        left = left.saturating_sub(group.len());
                        group.iter().for_each(|&row| taken[row] = true);
                    }
                }
                self.parts(|_, row| taken[row])
            }
        }
    }

    /// Divides the rows into `k` folds of nearly equal size. Returns for each fold the rows outside of it, to
    /// train on, and those in it, held out.
    ///
    /// # Panics
    /// If `k` is below 2, or exceeds the number of rows or groups.
    #[track_caller]
    pub fn folds(&self, k: usize) -> Vec<Parts> {
        let len = self.len;
        assert!((2..=len).contains(&k), "Split: cannot make {k} folds of {len} rows");
        let mut fold = vec![0; len];
        match &self.by {
            By::Nothing => {
                let order = self.order();
                order.iter().enumerate().for_each(|(place, &row)| fold[row] = place * k / len);
            }
            By::Class(_) => {
                let order = self.order();
                order.iter().enumerate().for_each(|(place, &row)| fold[row] = place % k);
            }
            By::Group(groups) => {
                let mut members = self.members(groups);
                let found = members.len();
                assert!(k <= found, "Split: cannot make {k} folds of {found} groups");
                // Large groups first, each to the smallest fold, as scikit-learn's GroupKFold does.
                members.sort_by_key(|group| std::cmp::Reverse(group.len()));
                let mut sizes = vec![0; k];
                for group in members {
                    let smallest = (0..k).min_by_key(|&fold| sizes[fold]).expect("there are folds");
                    sizes[smallest] += group.len();
                    group.iter().for_each(|&row| fold[row] = smallest);
                }
            }
        }
        let parts = |k| {
            let (held_out, train) = (0..len).partition(|&row| fold[row] == k);
            Parts { train, held_out }
        };
        (0..k).map(parts).collect()
    }

    /// Returns the rows in random order, or as they are; sorted by class if there are classes.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len).collect();
        if self.shuffled {
            order.shuffle(&mut generator(self.seed, SPLITS));
        }
        if let By::Class(classes) = &self.by {
            order.sort_by_key(|&row| classes[row]);
        }
        order
    }

    /// Returns the rows of each group; the groups in random order, or by first row.
    fn members(&self, groups: &[usize]) -> Vec<Vec<usize>> {
        let count = groups.iter().max().map_or(0, |last| last + 1);
        let mut members = vec![Vec::new(); count];
        groups.iter().enumerate().for_each(|(row, &group)| members[group].push(row));
        match self.shuffled {
            true => members.shuffle(&mut generator(self.seed, SPLITS)),
            // The last groups are held out.
            false => members.reverse(),
        }
        members
    }

    /// Returns the parts, given whether the row at a place of the order is held out.
    fn parts(&self, held_out: impl Fn(usize, usize) -> bool) -> Parts {
        let mut parts = Parts { train: Vec::new(), held_out: Vec::new() };
        for (place, row) in self.order().into_iter().enumerate() {
            match held_out(place, row) {
                true => parts.held_out.push(row),
                false => parts.train.push(row),
            }
        }
        parts.train.sort_unstable();
        parts.held_out.sort_unstable();
        parts
    }
}

/// Numbers different values in the order of their first appearance.
fn numbered<T: Eq + Hash>(values: &[T]) -> Vec<usize> {
    let mut numbers = HashMap::new();
    let number = |value| {
        let next = numbers.len();
        *numbers.entry(value).or_insert(next)
    };
    values.iter().map(number).collect()
}

/// The stream of random numbers for splits. Batches use those of their epochs.
const SPLITS: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that each row is in one part of each pair, and held out by one fold.
    fn check_folds(folds: &[Parts], len: usize) {
        let all: Vec<usize> = (0..len).collect();
        let sorted = |mut rows: Vec<usize>| {
            rows.sort_unstable();
            rows
        };
        for Parts { train, held_out } in folds {
            assert!(train.is_sorted() && held_out.is_sorted());
            assert_eq!(sorted([&train[..], held_out].concat()), all);
        }
        assert_eq!(sorted(folds.iter().flat_map(|parts| parts.held_out.clone()).collect()), all);
    }

    fn sizes(folds: &[Parts]) -> Vec<usize> {
        folds.iter().map(|parts| parts.held_out.len()).collect()
    }

    #[test]
    fn shares_and_counts_have_their_sizes() {
        for (held_out, share) in [(0, 0.0), (3, 0.3), (3, 0.25), (10, 1.0)] {
            let parts = Split::new(10).share(share);
            assert_eq!((parts.train.len(), parts.held_out.len()), (10 - held_out, held_out));
            assert_eq!(parts, Split::new(10).count(held_out));
        }
        assert_ne!(Split::new(100).count(50), Split::new(100).seed(1).count(50));
        assert_eq!(Split::new(5).in_order().count(2).held_out, [3, 4]);
        let none = Parts { train: vec![], held_out: vec![] };
        assert_eq!(Split::new(0).share(0.5), none);
        assert_eq!(Split::new(0).stratified::<u8>(&[]).share(0.5), none);
        assert_eq!(Split::new(0).by_group::<u8>(&[]).share(0.5), none);
    }

    #[test]
    fn stratified_parts_have_each_class_to_within_one_row() {
        let labels: Vec<usize> = (0..101).map(|row| [0, 0, 0, 1, 2, 2, 0][row % 7]).collect();
        let count =
            |rows: &[usize], class| rows.iter().filter(|&&row| labels[row] == class).count();
        let all: Vec<usize> = (0..labels.len()).collect();
        let split = Split::new(labels.len()).seed(3).stratified(&labels);
        for held_out in [0, 1, 20, 50, 101] {
            let parts = split.count(held_out);
            assert_eq!(parts.held_out.len(), held_out);
            for class in 0..3 {
                let exact = (count(&all, class) * held_out) as f64 / 101.0;
                assert!((count(&parts.held_out, class) as f64 - exact).abs() < 1.0 + 1e-9);
            }
        }
        let folds = split.folds(4);
        check_folds(&folds, labels.len());
        assert_eq!(sizes(&folds), [26, 25, 25, 25]);
        for class in 0..3 {
            let counts: Vec<_> = folds.iter().map(|parts| count(&parts.held_out, class)).collect();
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{counts:?}");
        }
    }

    #[test]
    fn groups_stay_together() {
        let people = ["ada", "bo", "ada", "cy", "bo", "ada", "di", "cy", "ada", "ed"];
        let together = |Parts { train, held_out }: &Parts| {
            train.iter().all(|&a| held_out.iter().all(|&b| people[a] != people[b]))
        };
        let split = Split::new(10).by_group(&people);
        for seed in 0..20 {
            let parts = split.clone().seed(seed).share(0.3);
            assert!(together(&parts) && !parts.held_out.is_empty() && !parts.train.is_empty());
        }
        let folds = split.folds(3);
        check_folds(&folds, 10);
        assert!(folds.iter().all(together));
        // Four of ada alone; two of bo and one of another; two of cy and one of another.
        assert_eq!(sizes(&folds), [4, 3, 3]);
        assert_eq!(split.in_order().count(2).held_out, [6, 9]);
    }

    #[test]
    fn folds_without_classes_are_nearly_equal() {
        let folds = Split::new(11).folds(3);
        check_folds(&folds, 11);
        assert_eq!(sizes(&folds), [4, 4, 3]);
        let in_order = Split::new(6).in_order().folds(3);
        assert_eq!(in_order[1].held_out, [2, 3]);
        check_folds(&Split::new(3).folds(3), 3);
    }

    #[test]
    #[should_panic = "cannot make 3 folds of 2 groups"]
    fn too_few_groups() {
        Split::new(4).by_group(&[1, 1, 2, 2]).folds(3);
    }

    #[test]
    #[should_panic = "expected a class or group for each of 3 rows, found 2"]
    fn too_few_labels() {
        let _ = Split::new(3).stratified(&[0, 1]);
    }
}

//! The kernel side's maps, as the user side reads and changes them.

use aya::{
    Pod,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray},
};

use super::undisturbed::undisturbed;

/// A hash map.
pub struct Table<K, V>(HashMap<MapData, K, V>);

impl<K: Pod, V: Pod> Table<K, V> {
    /// The value of a key.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, key: &K) -> Result<V, MapError> {
        undisturbed(|| self.0.get(key, 0))
    }

    /// All that is there.
    pub fn all(&self) -> Vec<(K, V)> {
        let keys = self.0.keys().flatten();
        keys.filter_map(|key| Some((key, self.get(&key).ok()?))).collect()
    }

    /// Adds an entry, or changes it; `flags` as `BPF_MAP_UPDATE_ELEM` takes them.
    ///
    /// # Errors
    /// When the map is full, or the flags forbid it.
    pub fn insert(&mut self, key: K, value: V, flags: u64) -> Result<(), MapError> {
        undisturbed(|| self.0.insert(key, value, flags))
    }

    /// Takes an entry out.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove(&mut self, key: &K) -> Result<(), MapError> {
        undisturbed(|| self.0.remove(key))
    }
}

impl<K: Pod, V: Pod> TryFrom<Map> for Table<K, V> {
    type Error = MapError;

    fn try_from(map: Map) -> Result<Self, MapError> {
        HashMap::try_from(map).map(Self)
    }
}

/// Counters, one of each for every CPU.
pub struct Counters(PerCpuArray<MapData, u64>);

impl Counters {
    /// One of them, added up; 0 if it cannot be read.
    pub fn sum(&self, counter: u32) -> u64 {
        let of_cpus = undisturbed(|| self.0.get(&counter, 0));
        of_cpus.map_or(0, |values| values.iter().sum())
    }
}

impl TryFrom<Map> for Counters {
    type Error = MapError;

    fn try_from(map: Map) -> Result<Self, MapError> {
        PerCpuArray::try_from(map).map(Self)
    }
}

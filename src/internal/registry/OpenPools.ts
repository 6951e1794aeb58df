/**
 * The pools of the databases that a registry has open: looked at without a use of them, which would open them, or keep them open. Not by
 * their names in `DbMetrics`, which another database may have, too.
 */
import type { PoolSnapshot } from "../../DbMetrics.js"

type Lookup = (name: string) => PoolSnapshot | undefined

const lookups = new WeakMap<object, Lookup>()

/** Says how the pools of a registry are found. */
export const provide = <Registry extends object>(registry: Registry, lookup: Lookup): Registry => {
  lookups.set(registry, lookup)
  return registry
}

/** What the pool of a name does now; `undefined` where it is not open, and of a registry that `DbRegistry.make` has not made. */
export const find = (registry: object, name: string): PoolSnapshot | undefined => lookups.get(registry)?.(name)

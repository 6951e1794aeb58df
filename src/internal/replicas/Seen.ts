/**
 * What a fiber has seen of a database with replicas: how far a replica has to be, so that it shows nothing older.
 */
import * as FiberRef from "effect/FiberRef"
import { setFiberRef } from "../effect/fiberState.js"
import type { AnyFiber } from "../fiber/Caller.js"

/** What was seen of one database. */
export interface Seen {
  /** All that is known to have been seen is at a place before. */
  readonly position: bigint
  /**
   * The primary has shown more since, and where that is is not known: how many questions for its position had been begun then. A later
   * question tells it. `undefined`: there is no more.
   */
  readonly pending: number | undefined
}

/** By the replicas of the database, as two databases may have one name. */
type SeenByDatabase = ReadonlyMap<object, Seen>

const further = (a: Seen, b: Seen): Seen =>
  a === b ? a : {
    position: a.position > b.position ? a.position : b.position,
    pending: a.pending === undefined ? b.pending : b.pending === undefined ? a.pending : Math.max(a.pending, b.pending)
  }

const nothing: SeenByDatabase = new Map()

/** Forked fibers have seen what their parent has. A fiber that joins another has seen what both have. */
const currentSeen: FiberRef.FiberRef<SeenByDatabase> = FiberRef.unsafeMake<SeenByDatabase>(nothing, {
  join: (parent, child) => {
    if (parent === child) {
      return parent
    }
    const both = new Map(parent)
    for (const [database, seen] of child) {
      const known = both.get(database)
      both.set(database, known === undefined ? seen : further(known, seen))
    }
    return both
  }
})

/** What the fiber has seen of a database; `undefined` for nothing. */
export const get = (fiber: AnyFiber, database: object): Seen | undefined => fiber.getFiberRef(currentSeen).get(database)

/** Puts other knowledge in its place. To be called for a fiber that runs, or that waits for what has shown it. */
export const set = (fiber: AnyFiber, database: object, seen: Seen): void =>
  setFiberRef(fiber, currentSeen, new Map(fiber.getFiberRef(currentSeen)).set(database, seen))

/** Adds to what it has seen. */
export const add = (fiber: AnyFiber, database: object, seen: Seen): void => {
  const known = get(fiber, database)
  set(fiber, database, known === undefined ? seen : further(known, seen))
}

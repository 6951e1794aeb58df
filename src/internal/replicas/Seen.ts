/**
 * What a fiber has seen of a database with replicas: how far a replica has to be, so that it shows nothing older.
 */
import type * as Effect from "effect/Effect"
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

/** A transaction has ended at this place of the primary's log: behind all that the fiber had seen before. */
export const committed = (fiber: AnyFiber, database: object, position: bigint): void => {
  const known = get(fiber, database)
  set(fiber, database, {
    position: known === undefined || position > known.position ? position : known.position,
    pending: undefined
  })
}

/** The primary has told a place behind what was pending in `before`. Answers how far the fiber has seen. */
export const told = (fiber: AnyFiber, database: object, before: Seen, position: bigint): bigint => {
  const seen = { position: position > before.position ? position : before.position, pending: undefined }
  set(fiber, database, seen)
  return seen.position
}

/** An effect that begins with what its fiber knows, and learns nothing of what other fibers see meanwhile. */
export const apart = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => effect

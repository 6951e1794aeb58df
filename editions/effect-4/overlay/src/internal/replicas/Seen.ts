/**
 * What fibers have seen of a database with replicas: how far a replica has to be, so that it shows nothing older.
 *
 * In Effect 4 a fiber learns nothing of what those that it has forked have seen, also where it waits for them. So all fibers see
 * together, and each knows what any of them has seen; those within {@link apart} see for themselves.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
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
export type SeenByDatabase = Pick<WeakMap<object, Seen>, "get" | "set">

const further = (a: Seen, b: Seen): Seen => ({
  position: a.position > b.position ? a.position : b.position,
  pending: a.pending === undefined ? b.pending : b.pending === undefined ? a.pending : Math.max(a.pending, b.pending)
})

/** What is seen outside of {@link apart}. */
const together: SeenByDatabase = new WeakMap<object, Seen>()

/** Forked fibers have that of their parent. */
export const currentSeen: Context.Reference<SeenByDatabase> = Context.Reference<SeenByDatabase>("dblive/currentSeen", {
  defaultValue: () => together
})

/** What the fiber has seen of a database; `undefined` for nothing. */
export const get = (fiber: AnyFiber, database: object): Seen | undefined => fiber.getRef(currentSeen).get(database)

/** Puts other knowledge in its place. */
export const set = (fiber: AnyFiber, database: object, seen: Seen): void =>
  void fiber.getRef(currentSeen).set(database, seen)

/** Adds to what it has seen. */
export const add = (fiber: AnyFiber, database: object, seen: Seen): void => {
  const known = get(fiber, database)
  set(fiber, database, known === undefined ? seen : further(known, seen))
}

/** A transaction has ended at this place of the primary's log. What another fiber has seen since may be behind it. */
export const committed = (fiber: AnyFiber, database: object, position: bigint): void =>
  add(fiber, database, { position, pending: undefined })

/** The primary has told a place behind what was pending in `before`. Answers how far was seen then. */
export const told = (fiber: AnyFiber, database: object, before: Seen, position: bigint): bigint => {
  const seen = position > before.position ? position : before.position
  const known = get(fiber, database) ?? before
  set(fiber, database, {
    position: known.position > seen ? known.position : seen,
    pending: known.pending === before.pending ? undefined : known.pending
  })
  return seen
}

/**
 * An effect that begins with nothing seen: it and the fibers that it forks see for themselves. Within such a one it is a part of that,
 * which has seen something of another database.
 */
export const apart = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    fiber.getRef(currentSeen) === together
      ? Effect.provideService(effect, currentSeen, new WeakMap<object, Seen>())
      : effect
  )

/**
 * Streams of what is pulled in groups.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** The elements of all groups that an effect gives, until it fails: with an error, or with none at the end. */
export const repeatedly = <A, E, R>(
  pull: Effect.Effect<ReadonlyArray<A>, Option.Option<E>, R>
): Stream.Stream<A, E, R> => {
  // A stream's group is never empty.
  const next: Effect.Effect<Arr.NonEmptyReadonlyArray<A>, E | Cause.Done, R> = Effect.flatMap(
    Effect.catch(pull, (end): Effect.Effect<never, E | Cause.Done> => Option.isNone(end) ? Cause.done() : Effect.fail(end.value)),
    (group) => Arr.isReadonlyArrayNonEmpty(group) ? Effect.succeed(group) : next
  )
  return Stream.fromPull(Effect.succeed(next))
}

/** The stream that goes on with another one where `recover` knows its error. */
export const catchSome = <A, E, R, A2, E2, R2>(
  self: Stream.Stream<A, E, R>,
  recover: (error: E) => Option.Option<Stream.Stream<A2, E2, R2>>
): Stream.Stream<A | A2, E | E2, R | R2> =>
  Stream.catch(self, (error): Stream.Stream<A2, E | E2, R2> => Option.getOrElse(recover(error), () => Stream.fail(error)))

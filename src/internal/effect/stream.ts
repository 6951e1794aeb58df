/**
 * Streams of what is pulled in groups.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** The elements of all groups that an effect gives, until it fails: with an error, or with none at the end. */
export const repeatedly = <A, E, R>(
  pull: Effect.Effect<ReadonlyArray<A>, Option.Option<E>, R>
): Stream.Stream<A, E, R> => Stream.repeatEffectChunkOption(Effect.map(pull, Chunk.unsafeFromArray))

/** The stream that goes on with another one where `recover` knows its error. */
export const catchSome = <A, E, R, A2, E2, R2>(
  self: Stream.Stream<A, E, R>,
  recover: (error: E) => Option.Option<Stream.Stream<A2, E2, R2>>
): Stream.Stream<A | A2, E | E2, R | R2> => Stream.catchSome(self, recover)

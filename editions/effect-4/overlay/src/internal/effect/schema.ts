/**
 * Schemas that read values of one form from values of another.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"

const getter = <A, I>(schema: Schema.Codec<A>, convert: (value: I) => Option.Option<A>) =>
  SchemaGetter.transformEffect((value: I, options) => {
    const found = convert(value)
    return Option.isSome(found)
      ? Effect.succeed(found.value)
      : Effect.fail(new SchemaIssue.InvalidType(schema.ast, value, options))
  })

/** What `to` holds, read from what `from` holds and written as such. What a function has no value for is refused. */
export const transformed = <A, I>(
  from: Schema.Codec<I>,
  to: Schema.Codec<A>,
  read: (value: I) => Option.Option<A>,
  write: (value: A) => Option.Option<I>
): Schema.Codec<A, I> => from.pipe(Schema.decodeTo(to, { decode: getter(to, read), encode: getter(from, write) }))

/** What `inner` reads from what `outer` gives, which may be anything: whether it can be read, `inner` says. */
export const composed = <A, I, R>(
  outer: Schema.Codec<unknown>,
  inner: Schema.Codec<A, I, R, R>
): Schema.Codec<A, unknown, R, R> =>
  // The type of what it reads is not asked for: it is given what is unknown, and decodes that.
  outer.pipe(Schema.decodeTo(inner as unknown as Schema.Codec<A, unknown, R, R>))

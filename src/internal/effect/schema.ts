/**
 * Schemas that read values of one form from values of another.
 */
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"

const given = <A>(found: Option.Option<A>, value: unknown, ast: AST.AST) =>
  Option.isSome(found) ? ParseResult.succeed(found.value) : ParseResult.fail(new ParseResult.Type(ast, value))

/** What `to` holds, read from what `from` holds and written as such. What a function has no value for is refused. */
export const transformed = <A, I>(
  from: Schema.Schema<I>,
  to: Schema.Schema<A>,
  read: (value: I) => Option.Option<A>,
  write: (value: A) => Option.Option<I>
): Schema.Schema<A, I> =>
  Schema.transformOrFail(from, to, {
    strict: true,
    decode: (value, _, ast) => given(read(value), value, ast),
    encode: (value, _, ast) => given(write(value), value, ast)
  })

/** What `inner` reads from what `outer` gives, which may be anything: whether it can be read, `inner` says. */
export const composed = <A, I, R>(
  outer: Schema.Schema<unknown>,
  inner: Schema.Schema<A, I, R>
): Schema.Schema<A, unknown, R> =>
  // The type of what it reads is not asked for: it is given what is unknown, and decodes that.
  Schema.compose(outer, inner as unknown as Schema.Schema<A, unknown, R>, { strict: false })

/** Schemas of rows that have another form in Effect 4, and what is told of rows that are not as a schema has them. */
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** A number in a text. */
export const number = {
  schema: Schema.NumberFromString,
  refused: "expected NumberFromString, got a string"
}

/** A text that is a JSON document of numbers. */
export const document = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Number }))

/** Its filter refuses all rows, and has the value in its path and in its message. */
export const telling = Schema.Struct({ body: Schema.String }).pipe(
  Schema.filter(({ body }) => ({ path: [body], message: body }))
)

export const isRefused = ParseResult.isParseError

/** Where in the rows the faults are: each row, from 0, and its column. */
export const placesOf = (error: unknown): Effect.Effect<ReadonlyArray<ReadonlyArray<PropertyKey>>> =>
  isRefused(error)
    ? Effect.map(ParseResult.ArrayFormatter.formatError(error), (issues) => issues.map(({ path }) => path))
    : Effect.die(error)

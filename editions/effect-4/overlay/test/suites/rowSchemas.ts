/** Schemas of rows that have another form in Effect 3, and what is told of rows that are not as a schema has them. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/** A number in a text. */
export const number = {
  schema: Schema.FiniteFromString,
  refused: "expected a finite number, got a "
}

/** A text that is a JSON document of numbers. */
export const document = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Number))

/** Its check refuses all rows, and has the value in its path and in its message. */
export const telling = Schema.Struct({ body: Schema.String }).check(
  Schema.makeFilter(({ body }) => ({ path: [body], issue: body }))
)

export const isRefused = Schema.isSchemaError

const formatted = SchemaIssue.makeFormatterStandardSchemaV1()

/** Where in the rows the faults are: each row, from 0, and its column. */
export const placesOf = (error: unknown): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>> =>
  isRefused(error)
    ? Effect.succeed(formatted(error.issue).issues.map(({ path }) => path ?? []))
    : Effect.die(error)

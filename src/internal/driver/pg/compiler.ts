/**
 * The compiler of `@effect/sql-pg`, with one difference: a `json` fragment's value keeps its mark, so that `null`, a
 * string and an array in it are sent as JSON and not as NULL, a JSON text and an array literal.
 */
import type { Custom } from "@effect/sql/Statement"
import * as Statement from "@effect/sql/Statement"
import { Json } from "./json.js"

interface PgJson extends Custom<"PgJson", unknown> {}

/** A fragment that sends its value as JSON. */
export const json = Statement.custom<PgJson>("PgJson")

const escape = Statement.defaultEscape("\"")

export const compiler = (
  transform: ((name: string) => string) | undefined,
  transformJson: boolean
): Statement.Compiler => {
  const transformValue = transformJson && transform !== undefined
    ? Statement.defaultTransforms(transform).value
    : undefined
  return Statement.makeCompiler<PgJson>({
    dialect: "pg",
    placeholder: (index) => `$${index}`,
    onIdentifier: transform === undefined
      ? escape
      : (value, isUntransformed) => escape(isUntransformed ? value : transform(value)),
    onRecordUpdate: (placeholders, valueAlias, valueColumns, values, returning) => [
      `(values ${placeholders}) AS ${valueAlias}${valueColumns}${returning ? ` RETURNING ${returning[0]}` : ""}`,
      returning ? values.flat().concat(returning[1]) : values.flat()
    ],
    onCustom: (type, placeholder, isUntransformed) => [
      placeholder(undefined),
      // A parameter's type has no place for the mark; our own connections are the ones that read it.
      [new Json(isUntransformed || transformValue === undefined ? type.i0 : transformValue(type.i0)) as never]
    ]
  })
}

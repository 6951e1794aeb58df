/**
 * The types of a statement's parameters and columns: what the database says, what the text tells, and what the comments say in place of
 * both.
 */
import type { Dialect } from "@effect/sql/Statement"
import type { DescribedColumn, Description } from "../../driver/Driver.js"
import type { Parsed } from "../sql/parsedStatement.js"
import type { Asked, Catalog } from "./catalog.js"
import type { Field, Override, Statement } from "./model.js"
import { type Doubts, doubtsOf } from "./nullability.js"
import { guessParameters } from "./parameters.js"
import { type Known, knownColumns } from "./selectList.js"
import { type Token, tokensOf } from "./tokens.js"

/** What a statement takes and gives, or what is wrong with it. */
export interface Fields {
  readonly parameters: ReadonlyArray<Field>
  readonly row: ReadonlyArray<Field> | undefined
  readonly faults: ReadonlyArray<{ readonly line: number; readonly message: string }>
}

const orNull = (type: string, isNullable: boolean): string =>
  !isNullable || type === "unknown" || type === "Param" ? type : `${type} | null`

/** How a parameter stands in the lists of IN: only there and alone, there among others, or elsewhere. */
const listOf = ({ lists, names }: Parsed, name: string): "only" | "also" | "never" => {
  const uses = (lists ?? []).filter((_, i) => names[i] === name)
  return uses.length > 0 && uses.every((use) => use?.sole === true)
    ? "only"
    : uses.some((use) => use !== undefined)
    ? "also"
    : "never"
}

const parameterFields = (
  statement: Statement,
  parsed: Parsed,
  described: Description,
  tokens: ReadonlyArray<Token>,
  { catalog, dialect }: { readonly catalog: Catalog; readonly dialect: Dialect }
): ReadonlyArray<Field> => {
  const guesses = guessParameters(tokens, catalog)
  return [...new Set(parsed.names)].map((name) => {
    const override: Override | undefined = statement.parameters.get(name)
    const guess = guesses.get(name)
    const told = dialect === "pg" ? described.parameters[parsed.order.indexOf(name)] : guess?.type
    const one = told ?? "Param"
    const list = listOf(parsed, name)
    const type = list === "only"
      ? `ReadonlyArray<${one}>`
      : list === "also" && one !== "Param"
      ? `${one} | ReadonlyArray<${one}>`
      : one
    return { name, type: orNull(override?.type ?? type, override?.nullable ?? (guess?.nullable === true)) }
  })
}

/** Whether no value of a column can be NULL. */
const isNotNull = (
  column: DescribedColumn,
  known: Known | undefined,
  doubts: Doubts,
  catalog: Catalog
): boolean => {
  if (known?.notNull === true) return true
  if (doubts.all) return false
  // An expression may be of any table's columns. MariaDB leaves outer joins out of account when it prepares.
  if (column.origin === undefined) return column.notNull && doubts.tables.size === 0
  const { notNull: isNotNull, table } = catalog.find(column.origin)
  return (isNotNull || column.notNull) && !doubts.tables.has(table)
}

const columnFields = (
  statement: Statement,
  columns: ReadonlyArray<DescribedColumn>,
  tokens: ReadonlyArray<Token>,
  { catalog, dialect, transformName }: Pick<Asked, "dialect" | "transformName"> & { readonly catalog: Catalog }
): ReadonlyArray<Field> => {
  const doubts = doubtsOf(tokens, dialect, catalog.views)
  const known = knownColumns(tokens, columns.length)
  return columns.map((column, i) => {
    const name = transformName(column.name)
    const override = statement.columns.get(name)
    // The other databases say themselves what an expression is.
    const read = column.read ?? (dialect === "sqlite" && column.origin === undefined ? known?.[i]?.read : undefined)
    return {
      name,
      type: orNull(
        override?.type ?? read ?? "unknown",
        override?.nullable ?? !isNotNull(column, known?.[i], doubts, catalog)
      )
    }
  })
}

const listed = (names: ReadonlyArray<string>): string => names.length === 0 ? "none" : names.join(", ")

/** What the comments name, and the statement has not; and columns of one name. */
const faultsOf = (
  statement: Statement,
  parameters: ReadonlyArray<string>,
  columns: ReadonlyArray<string>
): Fields["faults"] => {
  const twice = columns.find((name, i) => columns.indexOf(name) < i)
  return [
    ...[...statement.parameters].filter(([name]) => !parameters.includes(name)).map(([name, { line }]) => ({
      line,
      message: `the statement has no parameter :${name} (it has ${listed(parameters.map((name) => `:${name}`))})`
    })),
    ...[...statement.columns].filter(([name]) => !columns.includes(name)).map(([name, { line }]) => ({
      line,
      message: `the statement gives no column "${name}" (it gives ${listed(columns)})`
    })),
    ...twice === undefined ? [] : [{
      line: statement.line,
      message: `two columns are named "${twice}", and a row would have one of them: name the other one by AS`
    }]
  ]
}

/** The fields of a statement that the database has described. */
export const fieldsOf = (
  statement: Statement,
  parsed: Parsed,
  described: Description,
  database: Pick<Asked, "dialect" | "transformName"> & { readonly catalog: Catalog }
): Fields => {
  const tokens = tokensOf(parsed, database.dialect)
  const parameters = parameterFields(statement, parsed, described, tokens, database)
  const row = described.columns && columnFields(statement, described.columns, tokens, database)
  return {
    parameters,
    row,
    faults: faultsOf(statement, parameters.map(({ name }) => name), row?.map(({ name }) => name) ?? [])
  }
}

/**
 * Checks the statements of a project against a database made by its migrations.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { DbError, QueryError } from "../../DbError.js"
import { summary } from "../error/message.js"
import * as NamedParams from "../sql/NamedParams.js"
import type { Parsed } from "../sql/parsedStatement.js"
import { type Asked, type Catalog, readCatalog } from "./catalog.js"
import { fieldsOf } from "./fields.js"
import { find, type Places } from "./files.js"
import { generate, type Tag } from "./generate.js"
import type { Checked, CheckProblem, Kind, Statement } from "./model.js"
import { read } from "./read.js"

/** What is checked, and what is made of it. */
export interface Options extends Places {
  /** The file of functions, from the root; `undefined` for none. */
  readonly out: string | undefined
  readonly tag: Tag
}

/**
 * What a check has found.
 *
 * @since 0.2.0
 * @category models
 */
export interface CheckReport {
  /** The statements that fit the schema. */
  readonly statements: ReadonlyArray<{ readonly name: string; readonly file: string; readonly line: number }>
  /** In the order of files and lines. */
  readonly problems: ReadonlyArray<CheckProblem>
  /** What was not looked at, such as `Db.sqlFile` with a path that is no literal. */
  readonly warnings: ReadonlyArray<CheckProblem>
  /** The file of functions as it should be; `undefined` where none is wanted. */
  readonly output: { readonly file: string; readonly text: string; readonly isCurrent: boolean } | undefined
}

/** What the server says, without the advice for a running program. */
const wordsOf = (error: QueryError): string =>
  [summary(error, error.reason), error.detail, error.hint].filter((part) => part !== undefined).join("; ")

/** A statement may have placeholders of two kinds, or of the database's own, which have no names. */
const placeholderFault = (parsed: Parsed): string | undefined =>
  parsed.placeholder !== undefined
    ? `the statement has ${parsed.placeholder}: its parameters are written by their names, such as :id`
    : parsed.bare !== undefined
    ? `write IN (:${parsed.bare[0]}) for the list :${parsed.bare[0]}`
    : undefined

const kindOf = (statement: Statement, hasRows: boolean): Kind => statement.kind ?? (hasRows ? "many" : "execute")

/** Placeholders are found in texts without names, too. */
const parse = (text: string, dialect: Asked["dialect"]): Parsed => NamedParams.parse(text, dialect)

/** Describes a statement, and says what is wrong with it. */
const checkOne = (
  statement: Statement,
  asked: Asked,
  catalog: Catalog
): Effect.Effect<Checked | ReadonlyArray<CheckProblem>, DbError> =>
  Effect.gen(function*() {
    const { file, line, name } = statement
    const problem = (message: string, at = line): CheckProblem => ({ file, line: at, name, message })
    const parsed = parse(statement.text, asked.dialect)
    const refused = placeholderFault(parsed)
    if (refused !== undefined) return [problem(refused)]
    const described = yield* Effect.either(asked.describe(parsed.sql))
    if (described._tag === "Left") {
      const error = described.left
      if (error._tag !== "QueryError") return yield* Effect.fail(error)
      // Names and placeholders stand in the same lines.
      const lines = error.position === undefined ? 0 : parsed.sql.slice(0, error.position - 1).split("\n").length - 1
      return [problem(wordsOf(error), line + lines)]
    }
    if (described.right.parameters.length !== parsed.order.length) {
      return [problem("the statement has placeholders without a name: write its parameters as :id")]
    }
    const { faults, parameters, row } = fieldsOf(statement, parsed, described.right, { ...asked, catalog })
    const kind = kindOf(statement, row !== undefined)
    const problems = faults.map(({ line, message }) => problem(message, line))
    return row === undefined && kind !== "execute"
      ? [...problems, problem(`the statement gives no rows, which :${kind} is to give: write :execute`)]
      : problems.length > 0
      ? problems
      : { statement, kind, parameters, row }
  })

/** Statements of one name. */
const duplicates = (statements: ReadonlyArray<Statement>): ReadonlyArray<CheckProblem> => {
  const first = new Map<string, Statement>()
  return statements.flatMap((statement) => {
    const { file, line, name } = statement
    const other = first.get(name)
    if (other === undefined) {
      first.set(name, statement)
      return []
    }
    return [{ file, line, name, message: `the name stands already in ${other.file}:${other.line}` }]
  })
}

const withoutReturns = (text: string): string => text.replaceAll("\r\n", "\n")

const current = (file: string): string | undefined =>
  fs.existsSync(file) ? withoutReturns(fs.readFileSync(file, "utf8")) : undefined

const sorted = (problems: ReadonlyArray<CheckProblem>): ReadonlyArray<CheckProblem> =>
  [...problems].sort((a, b) => a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1)

/** Checks all statements. Fails only where the database cannot be asked: what is wrong with statements is in the report. */
export const check = (asked: Asked, options: Options): Effect.Effect<CheckReport, DbError> =>
  Effect.gen(function*() {
    // A file that goes away while it is read is nothing that a program could deal with.
    const found = yield* Effect.sync(() => find(options))
    const reads = found.sources.map((source) => read(source, asked.dialect))
    const statements = reads.flatMap(({ statements }) => statements)
    const problems = [...found.problems, ...reads.flatMap(({ problems }) => problems), ...duplicates(statements)]
    if (found.sources.length === 0) {
      problems.push({ file: options.queries, line: 1, message: "no .sql file was found: nothing is checked" })
    }
    const catalog = yield* readCatalog(asked)
    const results = yield* Effect.forEach(statements, (statement) => checkOne(statement, asked, catalog))
    const checked = results.flatMap((result) => "statement" in result ? [result] : [])
    problems.push(...results.flatMap((result) => "statement" in result ? [] : result))
    return {
      statements: checked.map(({ statement: { file, line, name } }) => ({ name, file, line })),
      problems: sorted(problems),
      warnings: sorted(found.warnings),
      // Of statements that do not fit no function can be made.
      output: options.out === undefined || problems.length > 0
        ? undefined
        : outputOf(path.resolve(options.root, options.out), options, generate(checked, options.tag))
    }
  })

const outputOf = (file: string, { out }: Options, text: string): CheckReport["output"] => ({
  file: out!.replaceAll("\\", "/"),
  text,
  isCurrent: current(file) === text
})

/** A problem as editors and terminals link it. */
export const lineOf = ({ file, line, message, name }: CheckProblem): string =>
  `${file}:${line}: ${name === undefined ? "" : `${name}: `}${message}`

/**
 * Statements that change something: rows, or definitions.
 *
 * Exports: `write`, `ddl`, `selectInto`.
 */
import { command as commands } from "../tokens.js"
import { TsqlError } from "../types.js"
import type { Query, Statement } from "./ast.js"
import type { TableInfo } from "./catalog.js"
import { type DdlStatement, runDdl } from "./ddl.js"
import { compileDelete, type CompiledWrite, compileInsert, compileUpdate, constraintError } from "./dml.js"
import { compileQuery, type QueryColumn } from "./query.js"
import { finished, makeContext, type Run } from "./run.js"
import type { Context } from "./scope.js"
import type { Session } from "./session.js"
import { fromSqlite, toSqlite } from "./storage.js"

/** SELECT INTO makes the table and fills it. */
export const selectInto = async (run: Run, query: Query, line: number): Promise<void> => {
  if (query.body.tag !== "select" || query.body.into === undefined) return
  const { into, ...body } = query.body
  const inner: Query = { ...query, body: { ...body, into: undefined } }
  const { columns } = compileQuery(makeContext(run), inner, undefined)
  if (columns.some((column) => column.name === "")) {
    throw new TsqlError(1038, "An object or column name is missing or empty.", 15, 5, line)
  }
  await ddl(run, {
    line,
    tag: "createTable",
    table: into,
    columns: columns.map((column) => ({
      name: column.name,
      type: column.type,
      nullable: column.nullable,
      identity: undefined,
      default: undefined
    })),
    constraints: []
  }, false)
  await write(run, {
    line,
    tag: "insert",
    table: into,
    columns: columns.map((_) => _.name),
    output: undefined,
    source: { tag: "query", query: inner }
  })
}

const verbs = { insert: "INSERT", update: "UPDATE", delete: "DELETE" } as const

/** INSERT, UPDATE or DELETE. */
export const write = async (
  run: Run,
  one: Extract<Statement, { tag: "insert" | "update" | "delete" }>
): Promise<void> => {
  const { session, signal, sink } = run
  // Twice, for what happens while it waits may change what the names mean.
  const compile = () => {
    const context = makeContext(run)
    const compiled = one.tag === "insert"
      ? compileInsert(context, one, session.identityInsert)
      : one.tag === "update"
      ? compileUpdate(context, one)
      : compileDelete(context, one)
    return { context, compiled }
  }
  compile()
  await session.access("write", signal)
  let rows: ReadonlyArray<ReadonlyArray<unknown>> = []
  let count = 0n
  let columns: ReadonlyArray<QueryColumn> | undefined
  try {
    const { compiled, context } = compile()
    columns = compiled.columns
    const identityBefore = session.scopeIdentity
    try {
      const bound = toSqlite(context.parameters)
      const prepared = session.db.prepare(compiled.sql).safeIntegers(true)
      if (columns === undefined) {
        count = BigInt(prepared.run(bound).changes)
      } else {
        rows = prepared.raw(true).all(bound) as Array<ReadonlyArray<unknown>>
        count = BigInt(rows.length)
      }
      if (one.tag === "insert" && !compiled.identity) session.scopeIdentity = undefined
    } catch (error) {
      session.scopeIdentity = identityBefore
      throw translate(run, error, verbs[one.tag], compiled, context)
    }
    session.autocommit()
  } catch (error) {
    if (session.transactionCount === 0) session.rollbackAll(undefined)
    throw error
  }
  if (columns !== undefined) {
    sink.columns(columns)
    for (const row of rows) {
      const waiting = sink.row(columns, row.map(fromSqlite))
      if (waiting !== undefined) await waiting
    }
  }
  finished(run, commands[one.tag], count)
}

const translate = (
  run: Run,
  error: unknown,
  verb: "INSERT" | "UPDATE" | "DELETE",
  compiled: CompiledWrite,
  context: Context
): unknown => {
  const code = (error as { readonly code?: unknown } | null)?.code
  if (typeof code !== "string" || !code.startsWith("SQLITE_CONSTRAINT")) return error
  const keyValue = (columns: ReadonlyArray<string>): string => {
    const parts = columns.map((name) => compiled.row?.get(name))
    if (parts.some((part) => part === undefined)) return ""
    const values = parts.map((part) => {
      const value = context.evaluate(part!)
      return value === null ? "<NULL>" : Buffer.isBuffer(value) ? `0x${value.toString("hex")}` : String(value)
    })
    return ` The duplicate key value is (${values.join(", ")}).`
  }
  const { catalog, database } = run.session
  return constraintError((error as Error).message, verb, database.name, compiled.table, catalog, keyValue) ?? error
}

/** A change of definitions: all of it, or nothing. */
export const ddl = async (run: Run, one: DdlStatement, done = true): Promise<void> => {
  const { session, signal, sink } = run
  await session.access("write", signal)
  const identities = new Map(session.database.identities)
  session.mark()
  try {
    runDdl({
      catalog: session.catalog,
      context: makeContext(run),
      database: session.database.name,
      execute: (sql) => void session.db.exec(sql),
      literal: (sql) => session.db.prepare(`SELECT quote(${sql})`).pluck().get() as string,
      identities: (temporary) => session.identities(temporary),
      created: (table: TableInfo) => {
        if (table.temporary) session.created(table.sqlite)
      },
      dropped: (table: TableInfo) => {
        if (table.temporary) session.dropped(table.sqlite)
      }
    }, one)
    session.keep()
    session.autocommit()
  } catch (error) {
    session.undo()
    session.database.identities.clear()
    for (const [name, next] of identities) session.database.identities.set(name, next)
    if (session.transactionCount === 0) session.rollbackAll(undefined)
    throw ddlError(error, session)
  }
  if (done) sink.done(commands.none, undefined, false)
}

/** A new constraint that the rows do not keep. */
const ddlError = (error: unknown, session: Session): unknown => {
  const code = (error as { readonly code?: unknown } | null)?.code
  if (typeof code !== "string" || !code.startsWith("SQLITE_CONSTRAINT")) return error
  const message = (error as Error).message
  if (message.startsWith("UNIQUE")) {
    return new TsqlError(
      1505,
      "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found."
    )
  }
  if (message.startsWith("NOT NULL")) {
    const column = message.slice(message.lastIndexOf(".") + 1)
    return new TsqlError(
      4901,
      `ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified. Column '${column}' cannot be added.`
    )
  }
  if (message.startsWith("CHECK")) {
    return new TsqlError(
      547,
      `The ALTER TABLE statement conflicted with the CHECK constraint "${
        message.slice(message.indexOf(": ") + 2)
      }". The conflict occurred in database "${session.database.name}".`,
      16,
      0
    )
  }
  return error
}

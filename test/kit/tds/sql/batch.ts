/**
 * Batches: their statements, parsed before any of them runs, and what a failure does to what follows. What is not known
 * here is a syntax error (102, 156) where SQL Server would say so too, and error 49000 where it would not.
 */
import { isolationLevels } from "../requests.js"
import type { Response } from "../response.js"
import { command } from "../tokens.js"
import * as Types from "../types.js"
import { type SqlType, TsqlError, unsupported, type Value } from "../types.js"
import { convert } from "./convert.js"
import { Cursor } from "./cursor.js"
import { Cancelled } from "./database.js"
import { parseCreate, parseDrop } from "./ddl.js"
import { parseDelete, parseInsert, parseUpdate } from "./dml.js"
import { type Expression, parseExpression, parsePredicate } from "./expression.js"
import { parseExecute } from "./procedures.js"
import { parseQuery } from "./query.js"
import { coerce, Context, type Variables } from "./scope.js"
import type { Session } from "./session.js"

/** What the statements of a batch share while they run. */
export interface Run {
  readonly session: Session
  readonly sink: Response
  readonly variables: Variables
  readonly signal: AbortSignal
  failed: boolean
  /** Where the batch is only looked at: the types of its undeclared variables. */
  readonly described?: Map<string, SqlType>
}

export type Statement = (run: Run) => void | Promise<void>

/** The batch ends; its error has been sent. */
class Aborted extends Error {}

/** A deadlock, a conflict and a failed conversion end the transaction. */
const endTransaction = new Set([1205, 3960, 245, 241, 8114, 8169])
/** These end their statement alone, as what a program raises does; others the batch. */
const endStatement = new Set([515, 544, 547, 2601, 2627, 2628, 8134, 8115, 1222, 229, 3902, 3903, 3906])
const rowErrors = new Set([515, 547, 2601, 2627, 2628, 8134, 8115, 3906])

/** The value of an expression, as a type where one is given. */
export const evaluate = ({ session, variables }: Run, e: Expression, type?: SqlType): Value => {
  const context = new Context(session, variables)
  const compiled = e.compile({ context, sources: [] })
  return context.evaluate(type === undefined ? compiled : coerce(compiled, type, "assign"))
}

/** Sets a variable, which cuts what is too long without an error. */
export const assign = ({ variables }: Run, name: string, from: SqlType, value: Value): void => {
  const variable = variables.get(name)
  if (variable === undefined) throw new TsqlError(137, `Must declare the scalar variable "@${name}".`, 15)
  variable.value = convert(value, from, variable.type, "cast")
}

/** The end of a statement that counts rows. */
export const finished = ({ session, sink }: Run, currentCommand: number, count: bigint): void =>
  sink.done(currentCommand, session.options.noCount ? undefined : count, false)

/** The statements of a batch. */
export const parseBatch = (text: string): ReadonlyArray<{ readonly line: number; readonly run: Statement }> => {
  const c = new Cursor(text)
  const statements: Array<{ readonly line: number; readonly run: Statement }> = []
  for (;;) {
    while (c.symbol(";"));
    if (c.isEnd) return statements
    statements.push({ line: c.token.line, run: parseStatement(c) })
  }
}

/** Runs a text. Resolves to whether an error was sent; rejects with {@link Cancelled} when it was stopped. */
export const runBatch = async (
  session: Session,
  sink: Response,
  text: string,
  variables: Variables,
  signal: AbortSignal
): Promise<boolean> => {
  const run: Run = { session, sink, variables, signal, failed: false }
  try {
    await perform(run, async () => {
      for (const statement of parseBatch(text)) await perform(run, statement.run, statement.line)
    })
  } catch (error) {
    if (error instanceof Cancelled && session.options.xactAbort) session.rollbackAll(sink)
    if (!(error instanceof Aborted)) throw error
  }
  return run.failed
}

/** One statement, that begins in this line, with what its failure does. */
const perform = async (run: Run, statement: Statement, line = 1): Promise<void> => {
  const { session, signal, sink } = run
  if (signal.aborted) throw new Cancelled()
  try {
    await statement(run)
  } catch (error) {
    if (!(error instanceof TsqlError)) throw error
    const { number } = error
    run.failed = true
    session.lastError = number
    sink.error(error, Math.max(line, error.line))
    const aborts = session.options.xactAbort && number !== 50_000
    if (endTransaction.has(number) || aborts) session.rollbackAll(sink)
    else if (rowErrors.has(number)) sink.info(3621, "The statement has been terminated.", 0)
    sink.done(command.none, undefined, true)
    if (aborts || !(endStatement.has(number) || number >= 50_000)) throw new Aborted()
  }
}

/** Rows that are sent before other sessions and messages have their turn. */
const rowsPerTurn = 64n

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const parseSelect = (c: Cursor): Statement => {
  const query = parseQuery(c)
  return async (run) => {
    const { session, signal, sink, variables } = run
    const context = new Context(session, variables)
    const { columns, sql } = query(context, undefined)
    if (context.reads) session.read()
    let count = 0n
    try {
      // Rows of values as SQLite has them.
      const rows = session.db.prepare(sql).raw(true).safeIntegers(true).iterate(
        context.parameters
      ) as IterableIterator<ReadonlyArray<Value>>
      try {
        // The first row comes before the columns do: an error in it is the statement's, without an answer begun.
        let step = rows.next()
        sink.columns(columns)
        for (; step.done !== true; step = rows.next()) {
          count++
          session.rowsSent++
          await (sink.row(columns, step.value) ?? (count % rowsPerTurn === 0n ? turn() : undefined))
          // An attention was let in.
          if (signal.aborted) throw new Cancelled()
        }
      } finally {
        rows.return?.()
      }
    } finally {
      session.autocommit()
    }
    finished(run, command.select, count)
  }
}

const parseDeclare = (c: Cursor): Statement => {
  const all = c.list(() => {
    const name = c.variable()
    return { name, type: c.type(true) }
  })
  return ({ variables }) => {
    for (const { name, type } of all) variables.set(name, { type, value: null })
  }
}

/** Switches and settings that are taken and change nothing here. */
const ignored = new Set(
  `ANSI_NULLS ANSI_NULL_DFLT_ON ANSI_PADDING ANSI_WARNINGS ARITHABORT CONCAT_NULL_YIELDS_NULL CURSOR_CLOSE_ON_COMMIT
  IMPLICIT_TRANSACTIONS NUMERIC_ROUNDABORT QUOTED_IDENTIFIER TEXTSIZE LANGUAGE DATEFIRST DATEFORMAT ROWCOUNT`.split(
    /\s+/
  )
)

const parseSet = (c: Cursor): Statement => {
  if (c.words("TRANSACTION", "ISOLATION", "LEVEL")) {
    const level = isolationLevels.find((one) => c.words(...one.toUpperCase().split(" ")))
    if (level === undefined || level === "") throw c.fail()
    return ({ session }) => void (session.isolation = level)
  }
  if (c.words("IDENTITY_INSERT")) {
    const { name } = c.objectName()
    const on = c.next().upper === "ON"
    return ({ session }) => void (session.identityInsert = on ? name.toLowerCase() : undefined)
  }
  const options = c.list(() => c.next())
  const value = c.isSymbol("-") || c.token.kind === "number" ? Number(c.integer()) : c.next().upper === "ON"
  return ({ session }) => {
    for (const { text, upper } of options) {
      if (upper === "XACT_ABORT") session.options = { ...session.options, xactAbort: value === true }
      else if (upper === "NOCOUNT") session.options = { ...session.options, noCount: value === true }
      else if (upper === "LOCK_TIMEOUT") session.options = { ...session.options, lockTimeout: Number(value) }
      else if (!ignored.has(upper)) throw new TsqlError(195, `'${text}' is not a recognized SET option.`, 15, 4)
    }
  }
}

const parseTransaction = (c: Cursor): Statement => {
  const verb = c.next().upper
  const isTransaction = c.words("TRANSACTION") || c.words("TRAN")
  if (!isTransaction && (verb === "BEGIN" || verb === "SAVE")) throw unsupported(`${verb} ${c.token.text}`)
  const name = isTransaction && c.isName ? c.name() : undefined
  return ({ session, sink }) => {
    if (verb === "BEGIN") session.begin(sink, name)
    else if (verb === "COMMIT") session.commit(sink)
    else if (verb === "ROLLBACK") session.rollback(sink, name)
    else session.save(name ?? "")
    sink.done(command.none, undefined, false)
  }
}

const parseRaise = (c: Cursor, throws: boolean): Statement => {
  const args = throws ? c.list(() => parseExpression(c)) : c.inside(() => c.list(() => parseExpression(c)))
  return (run) => {
    const [first, second] = args.map((one) => evaluate(run, one))
    throw throws ? new TsqlError(Number(first), String(second)) : new TsqlError(50_000, String(first), Number(second))
  }
}

const parseWait = (c: Cursor): Statement => {
  c.expect("DELAY")
  const match = /^(\d+):(\d+):(\d+)$/.exec(c.next().text)
  if (match === null) throw c.fail()
  const millis = ((Number(match[1]) * 60 + Number(match[2])) * 60 + Number(match[3])) * 1000
  return ({ signal }) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, millis)
      signal.addEventListener("abort", () => {
        clearTimeout(timer)
        reject(new Cancelled())
      }, { once: true })
    })
}

/** CREATE, ALTER and DROP DATABASE. Row versions are always on here. */
const parseDatabase = (c: Cursor, verb: "create" | "alter" | "drop"): Statement => {
  const name = c.name()
  const alone = verb === "alter" && c.words("SET", "SINGLE_USER", "WITH", "ROLLBACK", "IMMEDIATE")
  if (verb === "alter" && !alone) {
    if (!c.words("SET", "ALLOW_SNAPSHOT_ISOLATION", "ON")) c.expect("SET", "READ_COMMITTED_SNAPSHOT", "ON")
  }
  return ({ session }) => {
    const { host } = session
    const found = host.database(name)
    if (verb === "create") {
      if (found === undefined) return host.createDatabase(name)
      throw new TsqlError(1801, `Database '${name}' already exists. Choose a different database name.`, 16, 3)
    }
    if (found === undefined) throw new TsqlError(911, `Database '${name}' does not exist.`)
    const inside = host.sessions().filter((one) => one.database === found)
    if (alone) inside.filter((one) => one !== session).forEach(({ spid }) => host.kill(spid))
    if (verb !== "drop") return
    if (inside.length > 0) throw new TsqlError(3702, `Cannot drop database "${name}" because it is in use.`, 16, 3)
    host.dropDatabase(found)
  }
}

const parseIf = (c: Cursor): Statement => {
  const condition = parsePredicate(c)
  const then = parseStatement(c)
  return async (run) => {
    const context = new Context(run.session, run.variables)
    const sql = condition({ context, sources: [] })
    if (context.evaluate({ sql: `(${sql}) IS TRUE`, type: Types.int, nullable: false }) === 1n) await perform(run, then)
  }
}

const print = (c: Cursor): Statement => {
  const value = parseExpression(c)
  return (run) => run.sink.info(0, String(evaluate(run, value)), 0)
}

const parseKill = (c: Cursor): Statement => {
  const spid = Number(c.integer())
  return ({ session }) => {
    if (!session.host.kill(spid)) throw new TsqlError(6106, `Process ID ${spid} is not an active process ID.`, 16, 2)
  }
}

const parseStatement = (c: Cursor): Statement => {
  if (c.isWord("SELECT", "WITH")) return parseSelect(c)
  if (c.isWord("BEGIN", "COMMIT", "ROLLBACK", "SAVE")) return parseTransaction(c)
  if (c.words("INSERT")) return parseInsert(c)
  if (c.words("UPDATE")) return parseUpdate(c)
  if (c.words("DELETE")) return parseDelete(c)
  if (c.words("CREATE", "DATABASE")) return parseDatabase(c, "create")
  if (c.words("ALTER", "DATABASE")) return parseDatabase(c, "alter")
  if (c.words("DROP", "DATABASE")) return parseDatabase(c, "drop")
  if (c.words("CREATE")) return parseCreate(c)
  if (c.words("DROP")) return parseDrop(c)
  if (c.words("SET")) return parseSet(c)
  if (c.words("DECLARE")) return parseDeclare(c)
  if (c.words("IF")) return parseIf(c)
  if (c.words("PRINT")) return print(c)
  if (c.words("THROW")) return parseRaise(c, true)
  if (c.words("RAISERROR")) return parseRaise(c, false)
  if (c.words("WAITFOR")) return parseWait(c)
  if (c.words("KILL")) return parseKill(c)
  if (c.words("EXEC") || c.words("EXECUTE")) return parseExecute(c)
  if (c.isWord("ALTER", "DENY", "GRANT", "MERGE", "RETURN", "TRUNCATE", "USE", "WHILE")) {
    throw unsupported(c.token.upper)
  }
  throw c.fail()
}

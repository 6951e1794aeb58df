/**
 * Runs the statements of a batch in a session.
 *
 * Exports: `runBatch`.
 */
import { command as commands } from "../tokens.js"
import * as Types from "../types.js"
import { TsqlError, unsupported, type Value } from "../types.js"
import type { Query, Statement } from "./ast.js"
import { sqliteName } from "./catalog.js"
import { Cancelled } from "./database.js"
import { parseBatch } from "./parser.js"
import { runProcedure } from "./procedures.js"
import { compileQuery } from "./query.js"
import { assign, evaluate, finished, makeContext, type Run, test, type Variables } from "./run.js"
import type { Session, Sink } from "./session.js"
import { fromSqlite, toSqlite } from "./storage.js"
import { ddl, selectInto, write } from "./writes.js"

/** How a failure is met: 1205 and conversions end the transaction, some errors the batch, others their statement alone. */
const severityOf = (number: number): "statement" | "batch" | "transaction" => {
  switch (number) {
    case 1205:
    case 3960:
    case 245:
    case 241:
    case 242:
    case 8114:
    case 8169:
    case 235:
      return "transaction"
    case 515:
    case 544:
    case 547:
    case 2601:
    case 2627:
    case 2628:
    case 8134:
    case 8115:
    case 220:
    case 248:
    case 512:
    case 1222:
    case 229:
    case 3906:
    case 3902:
    case 3903:
    case 911:
    case 14262:
      return "statement"
    default:
      return number >= 50_000 ? "statement" : "batch"
  }
}

const rowErrors = new Set([515, 547, 2601, 2627, 2628, 8134, 8115, 220, 248, 3906])

/** Rows that are sent before other sessions and messages have their turn. */
const rowsPerTurn = 64n

/** Leaves a loop or a batch. */
class Jump {
  constructor(readonly to: "break" | "continue" | "return") {}
}

/** The batch ends; its error has been sent. */
class Aborted extends Error {}

/** Runs a text. Resolves to whether an error was sent; rejects with {@link Cancelled} when it was stopped. */
export const runBatch = async (
  session: Session,
  sink: Sink,
  text: string,
  variables: Variables,
  signal: AbortSignal
): Promise<boolean> => {
  const run: Run = { session, sink, variables, signal, caught: undefined, tries: 0, failed: false }
  try {
    await statements(run, parseBatch(text))
  } catch (error) {
    if (error instanceof Cancelled) {
      if (session.options.xactAbort && session.transactionCount > 0) session.rollbackAll(sink)
      throw error
    }
    if (error instanceof TsqlError) {
      // From the parser: nothing has run.
      send(run, error)
      sink.done(commands.none, undefined, true)
      if (session.options.xactAbort && session.transactionCount > 0) session.rollbackAll(sink)
    } else if (!(error instanceof Aborted || error instanceof Jump)) throw error
  }
  if (session.doomed) {
    session.rollbackAll(sink)
    send(
      run,
      new TsqlError(
        3998,
        "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back."
      )
    )
    sink.done(commands.none, undefined, true)
  }
  return run.failed
}

const send = (run: Run, error: TsqlError): void => {
  run.failed = true
  run.session.lastError = error.number
  run.sink.error(error)
}

const statements = async (run: Run, list: ReadonlyArray<Statement>): Promise<void> => {
  for (const one of list) await statement(run, one)
}

/** One statement with what its failure does. */
const statement = async (run: Run, one: Statement): Promise<void> => {
  if (run.signal.aborted) throw new Cancelled()
  const { session, sink } = run
  try {
    await execute(run, one)
    if (one.tag !== "if" && one.tag !== "while" && one.tag !== "block" && one.tag !== "try") session.lastError = 0
  } catch (error) {
    if (!(error instanceof TsqlError)) throw error
    const located = error.line > 1 || one.line === 1
      ? error
      : new TsqlError(error.number, error.message, error.severity, error.state, one.line)
    const severity = severityOf(error.number)
    if (run.tries > 0 && !(severity === "batch" && error.number < 50_000 && [207, 208, 102].includes(error.number))) {
      if (session.transactionCount > 0 && (severity === "transaction" || session.options.xactAbort)) {
        session.doomed = true
      }
      session.lastError = error.number
      throw located
    }
    send(run, located)
    if (severity === "transaction" || (session.options.xactAbort && one.tag !== "raiserror")) session.rollbackAll(sink)
    else if (rowErrors.has(error.number)) sink.info(3621, "The statement has been terminated.", 0)
    sink.done(commands.none, undefined, true)
    if (severity !== "statement" || session.options.xactAbort || one.tag === "throw") throw new Aborted()
  }
}

const execute = async (run: Run, one: Statement): Promise<void> => {
  const { session, signal, sink, variables } = run
  switch (one.tag) {
    case "query":
      return select(run, one.query, one.line)
    case "insert":
    case "update":
    case "delete":
      return write(run, one)
    case "createTable":
    case "alterTable":
    case "dropTable":
    case "createIndex":
    case "dropIndex":
    case "createSchema":
    case "permission":
    case "truncate":
      return ddl(run, one)
    case "begin":
      session.begin(sink, one.name)
      return sink.done(commands.none, undefined, false)
    case "commit":
      session.commit(sink)
      return sink.done(commands.none, undefined, false)
    case "rollback":
      session.rollback(sink, one.name)
      return sink.done(commands.none, undefined, false)
    case "save":
      session.save(one.name!)
      return sink.done(commands.none, undefined, false)
    case "setIsolation":
      if (one.level === "snapshot" && session.transactionCount > 0 && session.isolation !== "snapshot") {
        throw new TsqlError(
          3951,
          `Transaction failed in database '${session.database.name}' because the statement was run under snapshot isolation but the transaction did not start in snapshot isolation.`
        )
      }
      session.isolation = one.level
      return
    case "setOption":
      return setOptions(run, one.options, one.value)
    case "setIdentityInsert":
      session.identityInsert = one.on ? sqliteName(one.table) : undefined
      return
    case "declare":
      for (const { name, type, value } of one.variables) {
        const key = name.slice(1)
        if (variables.has(key)) {
          throw new TsqlError(134, `The variable name '${name}' has already been declared.`, 15)
        }
        variables.set(key, { type, value: null })
        if (value !== undefined) assign(run, name, type, await evaluate(run, value, type), one.line)
      }
      return
    case "setVariable": {
      const variable = variables.get(one.name.slice(1))
      if (variable === undefined) {
        throw new TsqlError(137, `Must declare the scalar variable "${one.name}".`, 15, 1, one.line)
      }
      variable.value = await evaluate(run, one.value, variable.type)
      return
    }
    case "if":
      if (await test(run, one.condition)) return statement(run, one.then)
      return one.otherwise === undefined ? undefined : statement(run, one.otherwise)
    case "while":
      while (await test(run, one.condition)) {
        try {
          await statement(run, one.body)
        } catch (error) {
          if (!(error instanceof Jump) || error.to === "return") throw error
          if (error.to === "break") return
        }
        // Lets an attention in.
        await new Promise((resolve) => setImmediate(resolve))
        if (signal.aborted) throw new Cancelled()
      }
      return
    case "block":
      return statements(run, one.body)
    case "try": {
      run.tries++
      try {
        await statements(run, one.body)
        run.tries--
      } catch (error) {
        run.tries--
        if (!(error instanceof TsqlError)) throw error
        const outer = run.caught
        run.caught = error
        await statements(run, one.handler)
        run.caught = outer
      }
      return
    }
    case "break":
    case "continue":
    case "return":
      throw new Jump(one.tag)
    case "print": {
      const value = await evaluate(run, one.value, Types.nvarchar(4000))
      return sink.info(0, typeof value === "string" ? value : "", 0)
    }
    case "raiserror": {
      const message = await evaluate(run, one.message, Types.nvarchar(2047))
      const severity = Number(await evaluate(run, one.severity, Types.int))
      const state = Number(await evaluate(run, one.state, Types.int))
      if (typeof message !== "string" || /%/.test(message)) throw unsupported("this message of RAISERROR", one.line)
      if (severity <= 10) return sink.info(50_000, message, severity)
      throw new TsqlError(50_000, message, severity, state, one.line)
    }
    case "throw": {
      if (one.args === undefined) {
        if (run.caught === undefined) {
          throw new TsqlError(10_704, "To rethrow an error, a THROW statement must be used inside a CATCH block.", 15)
        }
        throw run.caught
      }
      const [number, message, state] = one.args
      throw new TsqlError(
        Number(await evaluate(run, number, Types.int)),
        String(await evaluate(run, message, Types.nvarchar(2048))),
        16,
        Number(await evaluate(run, state, Types.int)),
        one.line
      )
    }
    case "waitfor": {
      const delay = await evaluate(run, one.delay, Types.nvarchar(40))
      const match = /^(\d{1,2}):(\d{2}):(\d{2})(?:[.:](\d{1,3}))?$/.exec(String(delay))
      if (match === null) {
        throw new TsqlError(148, `Incorrect time syntax in time string '${String(delay)}' used with WAITFOR.`, 15)
      }
      const millis = ((Number(match[1]) * 60 + Number(match[2])) * 60 + Number(match[3])) * 1000 +
        Number((match[4] ?? "0").padEnd(3, "0"))
      // The attention may have come while the text was read: an abort tells only those who listen already.
      if (signal.aborted) throw new Cancelled()
      await new Promise<void>((resolve, reject) => {
        const onAbort = (): void => {
          clearTimeout(timer)
          reject(new Cancelled())
        }
        const timer = setTimeout(() => {
          signal.removeEventListener("abort", onAbort)
          resolve()
        }, millis)
        signal.addEventListener("abort", onAbort, { once: true })
      })
      return
    }
    case "use":
      return session.use(sink, one.database)
    case "createDatabase":
    case "alterDatabase":
    case "dropDatabase":
      return administer(session, one)
    case "kill": {
      const spid = Number(await evaluate(run, one.spid, Types.int))
      if (spid === session.spid) throw new TsqlError(6104, "Cannot use KILL to kill your own process.")
      if (!session.host.kill(spid)) throw new TsqlError(6106, `Process ID ${spid} is not an active process ID.`, 16, 2)
      return
    }
    case "execute":
      return runProcedure(run, one, assign)
  }
}

const administer = (
  session: Session,
  statement: Extract<Statement, { tag: "createDatabase" | "alterDatabase" | "dropDatabase" }>
): void => {
  const { host } = session
  if (session.transactionCount > 0) throw unsupported("databases inside a transaction", statement.line)
  const found = host.database(statement.name)
  if (statement.tag === "createDatabase") {
    if (found !== undefined) {
      throw new TsqlError(1801, `Database '${statement.name}' already exists. Choose a different database name.`, 16, 3)
    }
    return host.createDatabase(statement.name)
  }
  if (found === undefined) {
    throw new TsqlError(
      statement.tag === "dropDatabase" ? 3701 : 5011,
      `Cannot ${
        statement.tag === "dropDatabase" ? "drop" : "alter"
      } the database '${statement.name}', because it does not exist.`,
      11,
      5
    )
  }
  const inside = host.sessions().filter((one) => one !== session && one.database === found)
  if (statement.tag === "alterDatabase") {
    if (statement.alone) inside.forEach(({ spid }) => host.kill(spid))
    return
  }
  if (inside.length > 0 || session.database === found) {
    throw new TsqlError(3702, `Cannot drop database "${statement.name}" because it is currently in use.`, 16, 3)
  }
  host.dropDatabase(found)
}

const setOptions = (run: Run, options: ReadonlyArray<string>, value: string): void => {
  const { session } = run
  for (const option of options) {
    const on = value.toUpperCase() === "ON"
    switch (option) {
      case "XACT_ABORT":
        session.options = { ...session.options, xactAbort: on }
        break
      case "NOCOUNT":
        session.options = { ...session.options, noCount: on }
        break
      case "IMPLICIT_TRANSACTIONS":
        if (on) throw unsupported("SET IMPLICIT_TRANSACTIONS ON")
        break
      case "LOCK_TIMEOUT": {
        if (!/^-?\d+$/.test(value)) throw new TsqlError(102, `Incorrect syntax near '${value}'.`, 15)
        session.options = { ...session.options, lockTimeout: Math.max(-1, Number(value)) }
        break
      }
      case "ROWCOUNT":
        if (value !== "0") throw unsupported("SET ROWCOUNT")
        break
      case "LANGUAGE":
        if (value !== "us_english") throw unsupported(`the language ${value}`)
        break
      case "TEXTSIZE":
        session.options = { ...session.options, textSize: Number(value) }
        break
      case "DATEFIRST":
        session.options = { ...session.options, dateFirst: Number(value) }
        break
      case "DATEFORMAT":
        session.options = { ...session.options, dateFormat: value.toLowerCase() }
        break
      default:
        session.options = { ...session.options, others: { ...session.options.others, [option]: value.toUpperCase() } }
    }
  }
}

const select = async (run: Run, query: Query, line: number): Promise<void> => {
  if (query.body.tag === "select" && query.body.into !== undefined) return selectInto(run, query, line)
  const { session, signal, sink } = run
  const context = makeContext(run)
  const compiled = compileQuery(context, query, undefined)
  if (compiled.assigns === undefined && compiled.columns.length === 0) {
    throw unsupported("a query without columns", line)
  }
  if (context.reads) await session.access(context.locking ? "write" : "read", signal)
  let count = 0n
  try {
    const iterator = session.db.prepare(compiled.sql).raw(true).safeIntegers(true).iterate(
      toSqlite(context.parameters)
    ) as IterableIterator<ReadonlyArray<unknown>>
    let last: ReadonlyArray<Value> | undefined
    // The first row comes before the columns do: an error in it is the statement's, without an answer begun.
    let step = iterator.next()
    if (compiled.assigns === undefined) sink.columns(compiled.columns)
    try {
      while (step.done !== true) {
        count++
        last = step.value.map(fromSqlite)
        if (compiled.assigns === undefined) {
          session.rowsSent++
          const waiting = sink.row(compiled.columns, last)
          if (waiting !== undefined) await waiting
          // Lets an attention in.
          else if (count % rowsPerTurn === 0n) await new Promise((resolve) => setImmediate(resolve))
          if (signal.aborted) throw new Cancelled()
        }
        step = iterator.next()
      }
    } finally {
      iterator.return?.()
    }
    if (compiled.assigns !== undefined && last !== undefined) {
      compiled.assigns.forEach((name, i) => assign(run, name, compiled.columns[i]!.type, last[i]!, line))
    }
  } finally {
    session.autocommit()
  }
  finished(run, commands.select, count)
}

/**
 * Faults by name, and the errors by which each database's own driver would report them.
 */
import type * as DbConfig from "../../DbConfig.js"
import {
  type ConnectionError,
  connectionReasons,
  type DbError,
  type Outcome,
  type QueryReason,
  queryReasons,
  type TimeoutError
} from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { failure } from "../driver/failure.js"
import * as Mssql from "../driver/mssql/codes.js"
import * as Mysql from "../driver/mysql/codes.js"
import * as Pg from "../driver/pg/codes.js"
import * as Sqlite from "../driver/sqlite/codes.js"
import { toError } from "../driver/sqlite/errors.js"
import { withFields } from "../error/classes.js"
import { statementTimeout } from "../error/engine.js"

/**
 * What can go wrong when a connection is opened. `Timeout`: the server does not answer until `connectTimeout` is over.
 *
 * @since 0.1.0
 * @category models
 */
export type ConnectFault = "Refused" | "TooManyConnections" | "ServerStarting" | "Timeout"

/**
 * What can go wrong with a statement or a COMMIT.
 *
 * - `LostBefore`: the connection breaks before it is sent, and that is known.
 * - `LostDuring`: the connection breaks after it was sent; the server did not apply it, and the client cannot know.
 * - `LostAfter`: the server applies it, and the answer is lost.
 * - `Deadlock`, `Serialization`: the server chose this transaction to give way.
 * - `LockTimeout`, `Timeout`: the server stopped it at its limit (30 seconds, where none is configured).
 *
 * @since 0.1.0
 * @category models
 */
export type StatementFault =
  | "LostBefore"
  | "LostDuring"
  | "LostAfter"
  | "Deadlock"
  | "Serialization"
  | "LockTimeout"
  | "Timeout"

/** Those by which a statement is answered. */
type Answered = Exclude<StatementFault, "LostBefore" | "LostDuring" | "LostAfter">

/** Those by which a server answers of itself. */
type Said = Exclude<Answered, "Timeout">

/** In force where nothing is configured, in milliseconds. */
const limitByDefault = 30_000

/** Where a fault strikes. */
export interface Circumstances {
  readonly outcome: Outcome
  readonly statement: string
  readonly commit: boolean
  readonly request: Driver.Request
}

/** The errors of one database. */
export interface Errors {
  readonly connect: (fault: ConnectFault) => ConnectionError | TimeoutError
  readonly lost: (at: Pick<Circumstances, "outcome" | "commit"> & { readonly statement: string | undefined }) => DbError
  readonly answered: (fault: Answered, at: Circumstances) => DbError
  /** The statement was stopped by its sender. */
  readonly cancelled: (statement: string, outcome: Outcome) => DbError
}

/** Those that differ from database to database. */
interface Own extends Omit<Errors, "answered"> {
  readonly answered: (fault: Said, at: Circumstances) => DbError
}

const raw = (message: string, fields: object): Error => Object.assign(new Error(message), fields)

const reset = () => raw("read ECONNRESET", { errno: -104, code: "ECONNRESET", syscall: "read" })
const refused = (target: Driver.Target) => {
  const { address, port } = target
  return raw(`connect ECONNREFUSED ${address}:${port}`, {
    errno: -111,
    code: "ECONNREFUSED",
    syscall: "connect",
    address,
    port
  })
}

/** The server, as the drivers' messages name it. */
const whereOf = (config: DbConfig.DbConfig): string =>
  config.hosts.map(({ host, port }) => host.startsWith("/") ? host : `${host}:${port}`).join(", ")

const connectTimeout = (target: Driver.Target, config: DbConfig.DbConfig) =>
  failure({
    _tag: "TimeoutError",
    phase: "Connect",
    what: `${config.hosts.length === 0 ? target.uri : whereOf(config)}: the connection was not open in time`,
    outcome: "NotSent",
    database: config.name,
    limitMillis: config.pool.connectTimeout
  })

const limits = (config: DbConfig.DbConfig, request: Driver.Request) => ({
  statementTimeout: (request.statementTimeout ?? config.limits.statementTimeout) || limitByDefault,
  lockTimeout: (request.lockTimeout ?? config.limits.lockTimeout) || limitByDefault
})

const pgAnswers = {
  Deadlock: ["40P01", "deadlock detected", "DeadLockReport"],
  Serialization: ["40001", "could not serialize access due to concurrent update", "ExecUpdate"],
  LockTimeout: ["55P03", "canceling statement due to lock timeout", "ProcessInterrupts"]
} as const satisfies Record<Said, readonly [code: string, message: string, routine: string]>

const deadlock = "Process 1001 waits for ShareLock on transaction 1001; blocked by process 1002.\n" +
  "Process 1002 waits for ShareLock on transaction 1002; blocked by process 1001."

const pgError = (code: string, message: string, routine: string, severity = "ERROR"): Pg.ServerError =>
  raw(message, { name: "error", severity, code, routine }) as Pg.ServerError

const postgresql = (target: Driver.Target, config: DbConfig.DbConfig): Own => {
  const database = config.name
  const link = (cause: Error, outcome: Outcome) =>
    Pg.classifyLink(cause, { database, where: whereOf(config), outcome, otherwise: "Lost" })
  const at = (circumstances: Circumstances) => ({
    database,
    outcome: circumstances.outcome,
    statement: circumstances.statement,
    commit: circumstances.commit,
    fatal: false,
    cancelling: false,
    ...limits(config, circumstances.request),
    idleTimeout: 0,
    foreignLimits: false,
    // As if the limit had been waited for.
    ranMillis: Infinity,
    idleMillis: Infinity
  })
  return {
    connect: (fault) => {
      switch (fault) {
        case "Refused":
          return link(refused(target), "NotSent")
        case "TooManyConnections":
          return link(pgError("53300", "sorry, too many clients already", "InitProcess", "FATAL"), "NotSent")
        case "ServerStarting":
          return link(
            pgError("57P03", "the database system is starting up", "ProcessStartupPacket", "FATAL"),
            "NotSent"
          )
        case "Timeout":
          return connectTimeout(target, config)
      }
    },
    lost: ({ commit: isCommit, outcome, statement }) =>
      isCommit
        ? failure({
          _tag: "QueryError",
          reason: "CommitUnknown",
          what: "the connection broke before the answer to COMMIT came: read ECONNRESET",
          outcome: "Unknown",
          database,
          statement,
          cause: reset()
        })
        : link(reset(), outcome),
    answered: (fault, circumstances) => {
      const [code, message, routine] = pgAnswers[fault]
      const said = fault === "Deadlock" ? { detail: deadlock, hint: "See server log for query details." } : {}
      return Pg.classify(Object.assign(pgError(code, message, routine), said), at(circumstances))
    },
    cancelled: (statement, outcome) =>
      failure({
        _tag: "QueryError",
        reason: "Unknown",
        what: "canceling statement due to user request",
        outcome,
        database,
        statement,
        code: "57014",
        cause: pgError("57014", "canceling statement due to user request", "ProcessInterrupts")
      })
  }
}

/** What a database that knows no such fault is made to say all the same: a stand-in for one that does. */
const generic = (target: Driver.Target, config: DbConfig.DbConfig) => {
  const database = config.name
  const query = (reason: QueryReason, circumstances: Pick<Circumstances, "outcome" | "statement">) =>
    failure({
      _tag: "QueryError",
      reason,
      what: queryReasons[reason].meaning,
      outcome: circumstances.outcome,
      database,
      statement: circumstances.statement
    })
  const connect = (fault: ConnectFault) =>
    fault === "Timeout"
      ? connectTimeout(target, config)
      : failure({
        _tag: "ConnectionError",
        reason: fault,
        what: connectionReasons[fault].meaning,
        outcome: "NotSent",
        database
      })
  return { query, connect }
}

const sqlite = (target: Driver.Target, config: DbConfig.DbConfig): Own => {
  const database = config.name
  const { connect, query } = generic(target, config)
  const failed = (code: string, message: string) => raw(message, { name: "SqliteError", code })
  return {
    // It has no server: where such a fault is asked for, it stands in for a database that has one.
    connect,
    lost: ({ outcome, statement }) =>
      toError(Sqlite.classify({ database, text: statement, outcome }, failed("SQLITE_IOERR", "disk I/O error"))),
    answered: (fault, circumstances) => {
      const { outcome, request, statement } = circumstances
      const place = { database, text: statement, outcome }
      const { lockTimeout } = limits(config, request)
      switch (fault) {
        case "Deadlock":
          return query("Deadlock", circumstances)
        case "Serialization":
          return toError(Sqlite.classify(place, failed("SQLITE_BUSY_SNAPSHOT", "database is locked")))
        case "LockTimeout":
          return toError(Sqlite.lockTimeout(place, lockTimeout, failed("SQLITE_BUSY", "database is locked")))
      }
    },
    cancelled: (text, outcome) =>
      toError(Sqlite.classify({ database, text, outcome }, failed("SQLITE_INTERRUPT", "interrupted")))
  }
}

/** What the tables of MySQL and SQL Server both make of a link, of its end, and of one too many, by the error for that. */
const remote = (
  classifyLink: typeof Mysql.classifyLink,
  tooMany: Error,
  target: Driver.Target,
  config: DbConfig.DbConfig
): Pick<Own, "connect" | "lost"> => {
  const database = config.name
  const { connect } = generic(target, config)
  const link = (cause: Error, outcome: Outcome, where: string) =>
    classifyLink(cause, { database, where, outcome, otherwise: "Lost" })
  const unreachable = `cannot connect to ${whereOf(config)}`
  const broken = `the connection to ${whereOf(config)} broke`
  return {
    connect: (fault) =>
      fault === "Refused"
        ? link(refused(target), "NotSent", unreachable)
        : fault === "TooManyConnections"
        ? link(tooMany, "NotSent", unreachable)
        : connect(fault),
    lost: ({ commit: isCommit, outcome, statement }) =>
      isCommit
        ? failure({
          _tag: "QueryError",
          reason: "CommitUnknown",
          database,
          what: `${broken} during COMMIT`,
          outcome: "Unknown",
          statement,
          cause: reset()
        })
        : link(reset(), outcome, broken)
  }
}

const mysqlAnswers = {
  Deadlock: ["ER_LOCK_DEADLOCK", 1213, "40001", "Deadlock found when trying to get lock; try restarting transaction"],
  Serialization: [
    "ER_CHECKREAD",
    1020,
    "HY000",
    "Record has changed since last read in table; try restarting transaction"
  ],
  LockTimeout: ["ER_LOCK_WAIT_TIMEOUT", 1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"],
  Cancelled: ["ER_QUERY_INTERRUPTED", 1317, "70100", "Query execution was interrupted"],
  TooMany: ["ER_CON_COUNT_ERROR", 1040, "08004", "Too many connections"]
} as const satisfies Record<
  Said | "Cancelled" | "TooMany",
  readonly [code: string, errno: number, sqlState: string, message: string]
>

const mysqlError = ([code, errno, sqlState, message]: typeof mysqlAnswers[keyof typeof mysqlAnswers]) =>
  raw(message, { code, errno, sqlState }) as Mysql.RawError

const mysql = (target: Driver.Target, config: DbConfig.DbConfig): Own => {
  const answer = (error: keyof typeof mysqlAnswers, at: Omit<Mysql.Circumstances, "database">) =>
    Mysql.classify(mysqlError(mysqlAnswers[error]), { ...at, database: config.name })
  return {
    ...remote(Mysql.classifyLink, mysqlError(mysqlAnswers.TooMany), target, config),
    answered: (fault, { commit: isCommit, outcome, request, statement }) =>
      answer(fault, { statement, commit: isCommit, outcome, ...limits(config, request) }),
    cancelled: (statement, outcome) =>
      answer("Cancelled", { statement, outcome, commit: false, statementTimeout: 0, lockTimeout: 0 })
  }
}

const mssqlAnswers = {
  Deadlock: [1205, "Transaction was deadlocked on lock resources and has been chosen as the deadlock victim"],
  Serialization: [3960, "Snapshot isolation transaction aborted due to update conflict"],
  LockTimeout: [1222, "Lock request time out period exceeded."]
} as const satisfies Record<Said, readonly [number: number, message: string]>

const mssql = (target: Driver.Target, config: DbConfig.DbConfig): Own => {
  const { query } = generic(target, config)
  const tooMany = raw("The maximum number of connections has been reached", { number: 10928 })
  return {
    ...remote(Mssql.classifyLink, tooMany, target, config),
    answered: (fault, { commit: isCommit, outcome, request, statement }) => {
      const [number, message] = mssqlAnswers[fault]
      const { lockTimeout } = limits(config, request)
      return Mssql.classify(raw(message, { number }), {
        database: config.name,
        statement,
        commit: isCommit,
        outcome,
        lockTimeout
      })
    },
    cancelled: (statement, outcome) => query("Unknown", { statement, outcome })
  }
}

const ownErrorsOf = (target: Driver.Target, config: DbConfig.DbConfig): Own => {
  switch (target.system) {
    case "sqlite":
      return sqlite(target, config)
    case "mysql":
    case "mariadb":
      return mysql(target, config)
    case "microsoft.sql_server":
      return mssql(target, config)
    default:
      return postgresql(target, config)
  }
}

/** The errors of the database that a driver speaks to. */
export const errorsOf = (target: Driver.Target, config: DbConfig.DbConfig): Errors => {
  const own = ownErrorsOf(target, config)
  return {
    ...own,
    answered: (fault, at) => {
      if (fault !== "Timeout") {
        return own.answered(fault, at)
      }
      // The engine stops a statement at its limit, whatever the database, a little before the server would.
      const { outcome, request, statement } = at
      const { statementTimeout: statementTimeoutMillis } = limits(config, request)
      return withFields(statementTimeout(config.name, statement, statementTimeoutMillis, outcome), {
        cause: own.cancelled(statement, outcome).cause
      })
    }
  }
}

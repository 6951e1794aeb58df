/**
 * The server's own state, as statements see it: views such as `sys.dm_exec_sessions`, and functions such as `@@SPID`.
 * Only those that the library or a suite reads.
 */
import type Database from "better-sqlite3"
import { formatDateTime, parseDate } from "../calendar.js"
import { isolationLevels } from "../requests.js"
import * as Types from "../types.js"
import { type SqlType, unsupported, type Value } from "../types.js"
import type { ObjectName } from "./cursor.js"
import { same } from "./scope.js"
import type { Session } from "./session.js"

/** A moment as a datetime has it. */
const datetimeOf = (millis: number): string => {
  const day = Math.floor(millis / 86_400_000)
  const threeHundredths = Math.round((millis - day * 86_400_000) * 3 / 10)
  return formatDateTime(parseDate("1970-01-01") + day, Math.round(threeHundredths * 10 / 3) * 10_000)
}

interface View {
  readonly columns: ReadonlyArray<{ readonly name: string; readonly type: SqlType }>
  readonly rows: (session: Session) => Iterable<ReadonlyArray<Value>>
}

const column = (name: string, type: SqlType) => ({ name, type })
const id = (name: string) => column(name, Types.int)
const text = (name: string) => column(name, Types.nvarchar(256))

/** By their names in lower case, with the schema. */
const views: Readonly<Record<string, View>> = {
  "sys.dm_exec_sessions": {
    columns: [
      column("session_id", Types.smallint),
      text("host_name"),
      text("program_name"),
      text("login_name"),
      column("database_id", Types.smallint),
      column("transaction_isolation_level", Types.smallint),
      id("lock_timeout"),
      column("is_user_process", Types.bit)
    ],
    rows: (session) =>
      session.host.sessions().map((one) => [
        BigInt(one.spid),
        one.login.hostname,
        one.login.application,
        one.login.username,
        BigInt(one.database.id),
        BigInt(isolationLevels.indexOf(one.isolation)),
        BigInt(one.options.lockTimeout),
        1n
      ])
  },
  "sys.dm_exec_requests": {
    columns: [
      column("session_id", Types.smallint),
      column("start_time", Types.datetime),
      text("command"),
      column("blocking_session_id", Types.smallint)
    ],
    rows: (session) =>
      session.host.sessions().flatMap(({ running, spid, waitingFor }) =>
        running === undefined ? [] : [[
          BigInt(spid),
          datetimeOf(running.started),
          running.command,
          BigInt(waitingFor?.holders()[0]?.spid ?? 0)
        ]]
      )
  },
  "sys.dm_exec_connections": {
    columns: [id("session_id"), text("encrypt_option")],
    rows: (session) =>
      session.host.sessions().map(({ login, spid }) => [BigInt(spid), login.encrypted ? "TRUE" : "FALSE"])
  },
  "sys.dm_tran_locks": {
    columns: [
      text("resource_type"),
      id("resource_database_id"),
      text("resource_description"),
      text("request_status"),
      id("request_session_id")
    ],
    rows: (session) =>
      session.host.databases().flatMap((database) =>
        [...database.applicationLocks].flatMap(([resource, { held }]) =>
          held.map((owner) => [
            "APPLICATION",
            BigInt(database.id),
            `0:[${resource}]:(00000000)`,
            "GRANT",
            BigInt(owner.spid)
          ])
        )
      )
  },
  "sys.columns": {
    columns: [id("object_id"), text("name"), column("is_nullable", Types.bit)],
    rows: (session) =>
      session.definitions.flatMap((table) =>
        table.columns.map(({ name, nullable }) => [BigInt(table.id), name, nullable ? 1n : 0n])
      )
  }
}

/** The view of this name, and its columns. */
export const systemTable = (session: Session, { name, schema }: ObjectName) => {
  if (schema === undefined || !same(schema, "sys")) return undefined
  const key = `${schema}.${name}`.toLowerCase()
  const view = views[key]
  if (view === undefined) throw unsupported(`the view ${schema}.${name}`)
  // Views are read while the connection is busy.
  session.definitions = session.catalog.all()
  return { name: key, columns: view.columns }
}

/** Makes the views known to a session's connection. */
export const registerViews = (db: Database.Database, session: Session): void => {
  for (const [name, { columns, rows }] of Object.entries(views)) {
    db.table(name, {
      columns: columns.map((one) => one.name),
      safeIntegers: true,
      *rows() {
        for (const row of rows(session)) yield row as Array<unknown>
      }
    })
  }
}

interface Typed {
  readonly type: SqlType
  readonly value: Value
}
const int = (value: bigint | number | null): Typed => ({
  type: Types.int,
  value: value === null ? null : BigInt(value)
})
const string = (value: string | null): Typed => ({ type: Types.nvarchar(4000), value })

const functions: Readonly<Record<string, (session: Session, args: ReadonlyArray<Value>) => Typed>> = {
  "@@SPID": ({ spid }) => ({ type: Types.smallint, value: BigInt(spid) }),
  "@@TRANCOUNT": ({ transactionCount }) => int(transactionCount),
  "@@LOCK_TIMEOUT": ({ options }) => int(options.lockTimeout),
  GETDATE: () => ({ type: Types.datetime, value: datetimeOf(Date.now()) }),
  DB_NAME: ({ database }) => string(database.name),
  DB_ID: ({ database }) => ({ type: Types.smallint, value: BigInt(database.id) }),
  SUSER_SNAME: ({ login }) => string(login.username),
  OBJECT_ID: ({ catalog }, [name]) => {
    const parts = String(name).split(".").map((part) => part.replace(/^\[(.*)\]$/, "$1"))
    const schema = parts.length === 2 ? parts[0] : undefined
    return int(catalog.find({ schema, name: parts[parts.length - 1]! })?.id ?? null)
  },
  SESSION_CONTEXT: ({ sessionContext }, [key]) => sessionContext.get(String(key)) ?? string(null),
  SERVERPROPERTY: (_, [name]) => {
    if (String(name).toLowerCase() !== "productversion") throw unsupported(`SERVERPROPERTY('${String(name)}')`)
    return string("16.0.1000.6")
  },
  DATABASEPROPERTYEX: ({ host }, [database, name]) => {
    if (String(name).toLowerCase() !== "updateability") throw unsupported(`DATABASEPROPERTYEX(..., '${String(name)}')`)
    return string(host.database(String(database))?.readOnly === true ? "READ_ONLY" : "READ_WRITE")
  }
}

/** The function of this name, where there is one. */
export const sessionFunction = (name: string) => functions[name.toUpperCase()]

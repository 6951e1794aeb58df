/**
 * Functions of the session's state: `@@SPID`, `XACT_STATE()`, `SYSUTCDATETIME()` and the like.
 *
 * Exports: `sessionFunction`.
 */
import { formatDateTime, parseDate } from "../calendar.js"
import * as Types from "../types.js"
import { type SqlType, unsupported, type Value } from "../types.js"
import type { Run } from "./run.js"
import { datetimeOf } from "./systemTables.js"

type Typed = { readonly type: SqlType; readonly value: Value }

const now = (): string => {
  const millis = Date.now()
  const day = Math.floor(millis / 86_400_000)
  return formatDateTime(parseDate("1970-01-01") + day, (millis - day * 86_400_000) * 10_000)
}

const objectId = (run: Run, name: Value): Value => {
  if (typeof name !== "string") return null
  const parts = name.split(".").map((part) => part.replace(/^\[(.*)\]$/, "$1"))
  if (parts.length > 2 && !parts[parts.length - 1]!.startsWith("#")) {
    if (parts[0]!.toLowerCase() !== run.session.database.name.toLowerCase()) throw unsupported(`OBJECT_ID of ${name}`)
    parts.shift()
  }
  const last = parts[parts.length - 1]!
  const schema = parts.length === 2 ? parts[0]! : "dbo"
  const found = run.session.catalog.find(
    last.startsWith("#") || schema.toLowerCase() === "dbo" ? last : `${schema}.${last}`
  )
  return found === undefined ? null : BigInt(found.id)
}

/** The value of such a function; undefined where there is none of this name. */
export const sessionFunction = (run: Run, name: string, args: ReadonlyArray<Value>): Typed | undefined => {
  const { session } = run
  const int = (value: bigint | number | null): Typed => ({
    type: Types.int,
    value: value === null ? null : BigInt(value)
  })
  const text = (value: string | null, length = 128): Typed => ({ type: Types.nvarchar(length), value })
  switch (name.toUpperCase()) {
    case "@@SPID":
      return { type: Types.smallint, value: BigInt(session.spid) }
    case "@@TRANCOUNT":
      return int(session.transactionCount)
    case "@@ROWCOUNT":
      return int(session.lastRowCount)
    case "@@ERROR":
      return int(session.lastError)
    case "@@VERSION":
      return text(session.host.version, 300)
    case "@@SERVERNAME":
      return text(session.host.name)
    case "@@LOCK_TIMEOUT":
      return int(session.options.lockTimeout)
    case "@@IDENTITY":
    case "SCOPE_IDENTITY":
      return {
        type: Types.decimal(38, 0),
        value: session.scopeIdentity === undefined ? null : session.scopeIdentity.toString()
      }
    case "@@LANGUAGE":
      return text(session.options.language)
    case "@@DATEFIRST":
      return { type: Types.tinyint, value: BigInt(session.options.dateFirst) }
    case "@@TEXTSIZE":
      return int(session.options.textSize)
    case "@@MAX_CONNECTIONS":
      return int(32_767)
    case "XACT_STATE":
      return { type: Types.smallint, value: session.transactionCount === 0 ? 0n : session.doomed ? -1n : 1n }
    case "GETDATE":
    case "GETUTCDATE":
      return { type: Types.datetime, value: datetimeOf(new Date()) }
    case "SYSDATETIME":
    case "SYSUTCDATETIME":
      return { type: Types.datetime2(7), value: now() }
    case "SYSDATETIMEOFFSET":
      return { type: Types.datetimeoffset(7), value: `${now()}+00:00` }
    case "DB_NAME": {
      if (args.length === 0) return text(session.database.name)
      const found = session.host.databases().find((one) => BigInt(one.id) === args[0])
      return text(found?.name ?? null)
    }
    case "DB_ID": {
      if (args.length === 0) return { type: Types.smallint, value: BigInt(session.database.id) }
      const found = typeof args[0] === "string" ? session.host.database(args[0]) : undefined
      return { type: Types.smallint, value: found === undefined ? null : BigInt(found.id) }
    }
    case "SUSER_SNAME":
    case "SUSER_NAME":
    case "ORIGINAL_LOGIN":
    case "USER_NAME":
    case "SYSTEM_USER":
      return args.length === 0 ? text(session.login.user) : undefined
    case "SCHEMA_NAME":
      return args.length === 0 ? text("dbo") : undefined
    case "SCHEMA_ID": {
      const index = session.catalog.schemas().findIndex((one) =>
        one.toLowerCase() === String(args[0] ?? "dbo").toLowerCase()
      )
      return int(index === -1 ? null : index + 1)
    }
    case "HOST_NAME":
      return text(session.login.hostname)
    case "APP_NAME":
      return text(session.login.application)
    case "OBJECT_ID":
      return { type: Types.int, value: objectId(run, args[0] ?? null) }
    case "ERROR_NUMBER":
      return int(run.caught?.number ?? null)
    case "ERROR_SEVERITY":
      return int(run.caught?.severity ?? null)
    case "ERROR_STATE":
      return int(run.caught?.state ?? null)
    case "ERROR_LINE":
      return int(run.caught?.line ?? null)
    case "ERROR_MESSAGE":
      return text(run.caught?.message ?? null, 4000)
    case "SESSION_CONTEXT": {
      const found = session.sessionContext.get(String(args[0]))
      return found ?? text(null, 4000)
    }
    case "SERVERPROPERTY":
      switch (String(args[0]).toLowerCase()) {
        case "productversion":
          return text("16.0.1000.6")
        case "edition":
          return text("Test server")
        case "engineedition":
          return int(3)
        default:
          throw unsupported(`SERVERPROPERTY('${String(args[0])}')`)
      }
    case "DATABASEPROPERTYEX":
      if (String(args[1]).toLowerCase() === "updateability") {
        const found = session.host.database(String(args[0]))
        return text(found === undefined ? null : found.readOnly ? "READ_ONLY" : "READ_WRITE")
      }
      throw unsupported(`DATABASEPROPERTYEX(..., '${String(args[1])}')`)
    default:
      return undefined
  }
}

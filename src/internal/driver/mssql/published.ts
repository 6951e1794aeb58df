/**
 * What is taken from `@effect/sql-mssql`: its client's type and tag, and its compiler.
 */
import { makeCompiler, type MssqlClientConfig, TypeId } from "@effect/sql-mssql/MssqlClient"
import * as Published from "@effect/sql-mssql/MssqlClient"
import type * as Context from "effect/Context"

export { makeCompiler, type MssqlClientConfig }

export type MssqlClient = Published.MssqlClient

export const MssqlClient: Context.Tag<MssqlClient, MssqlClient> = Published.MssqlClient

/** What a client of SQL Server is marked with. */
export const mark: { readonly [Published.TypeId]: Published.TypeId } = { [TypeId]: TypeId as Published.TypeId }

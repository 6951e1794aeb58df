/**
 * What is taken from `@effect/sql-mysql2`: its client's type and tag, and its compiler.
 */
import { makeCompiler, type MysqlClientConfig, TypeId } from "@effect/sql-mysql2/MysqlClient"
import * as Published from "@effect/sql-mysql2/MysqlClient"
import type * as Context from "effect/Context"

export { makeCompiler, type MysqlClientConfig }

export type MysqlClient = Published.MysqlClient

export const MysqlClient: Context.Tag<MysqlClient, MysqlClient> = Published.MysqlClient

/** What a client of MySQL is marked with. */
export const mark: { readonly [Published.TypeId]: Published.TypeId } = { [TypeId]: TypeId as Published.TypeId }

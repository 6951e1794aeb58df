/** `@effect/sql-pg` 4 with `multiplex`: up to 32 statements share a connection, which is its default depth. */
import { openSqlPg } from "./openSqlPg.js"

export const open = openSqlPg({ multiplex: true })

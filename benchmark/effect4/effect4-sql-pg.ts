/** `@effect/sql-pg` 4 as it comes: a connection serves one fiber at a time. */
import { openSqlPg } from "./openSqlPg.js"

export const open = openSqlPg({})

/** `dblive` on SQLite, statements in workers: one that writes, and readers. */
import { openSqlite } from "./dblive/openSqlite.js"

export const open = openSqlite(2)

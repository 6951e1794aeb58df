/** `dblive` on SQLite, in the program's own process. */
import { openSqlite } from "./dblive/openSqlite.js"

export const open = openSqlite(0)

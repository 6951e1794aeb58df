/** `dblive` on SQLite, in the program's own process, by Node's own `node:sqlite`. */
import { openSqlite } from "./dblive/openSqlite.js"

export const open = openSqlite(0, "node:sqlite")

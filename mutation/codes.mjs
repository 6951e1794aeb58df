import { settings } from "./settings.mjs"

/** What a server's, a socket's or a library's code means. */
export default settings("codes", [
  "src/internal/driver/{pg,mysql,mssql,sqlite}/codes.ts",
  "src/internal/driver/socketCodes.ts"
])

/**
 * The parameters of SQL Server's URLs and strings: those of ADO.NET, ODBC and JDBC, and Prisma's.
 */
import { parseHosts } from "./draft.js"
import type { Kind } from "./kinds.js"
import { boolean, duration, word } from "./kinds.js"
import type { Parameter } from "./parameter.js"
import {
  applicationName,
  asSetting,
  connectionLimit,
  connectSeconds,
  database,
  ignored,
  instead,
  only,
  password,
  poolTimeout,
  port,
  sslRootCert,
  statementSeconds,
  take,
  username
} from "./parameter.js"
import { settings } from "./settings.js"

/** Seconds; 0: as long as it lives. */
const lifetime: Kind<number> = {
  ...duration("off"),
  accepted: "a number of seconds; 0: off",
  fromText: (text) => duration("off").fromText(`${text}s`)
}

/** The words of ADO.NET and JDBC for the ways to log in that there are. */
const authentication: Parameter = (value, draft) => {
  const way = value.toLowerCase().replace(/[\s_]/g, "")
  const found = Object.hasOwn(ways, way) ? ways[way] : undefined
  if (found === undefined) {
    return "SqlPassword, or Active Directory Password, Default, Managed Identity or Service Principal"
  }
  if (found !== "default") draft.settings["authentication"] = found
  return undefined
}

const ways: Readonly<Record<string, string>> = {
  sqlpassword: "default",
  notspecified: "default",
  activedirectorypassword: "azure-active-directory-password",
  activedirectorydefault: "azure-active-directory-default",
  activedirectorymanagedidentity: "azure-active-directory-msi-vm",
  activedirectorymsi: "azure-active-directory-msi-vm",
  activedirectoryserviceprincipal: "azure-active-directory-service-principal-secret"
}

const foreign = instead(
  "nothing: a string with SSL Mode is one for PostgreSQL or MySQL; write postgresql://user:password@host:5432/name or mysql://..."
)

/** `host`, `host,port`, `tcp:host,port`, `host\instance`. */
const server: Parameter = (value, draft) => {
  draft.hosts = []
  parseHosts(value.trim().replace(/^tcp:/i, "").replace(/\s*,\s*(?=\d+$)/, ":"), draft)
  return undefined
}

const encrypt = take(
  word(["true", "false"], {
    yes: "true",
    mandatory: "true",
    require: "true",
    no: "false",
    optional: "false",
    disable: "false"
  }),
  (flag, draft) => {
    draft.encrypt = flag === "true"
  }
)

/** Names without regard to case, spaces and underlines, as this database's own clients read them. */
export const mssql: Readonly<Record<string, Parameter>> = {
  server,
  servername: server,
  datasource: server,
  port,
  portnumber: port,
  instancename: (value, draft) => {
    draft.instance = value
    return undefined
  },
  database,
  databasename: database,
  initialcatalog: database,
  user: username,
  username,
  userid: username,
  uid: username,
  password,
  pwd: password,
  encrypt,
  trustservercertificate: take(boolean, (isTrusted, draft) => {
    draft.trust = isTrusted
  }),
  applicationintent: take(word(["readonly", "readwrite"]), (intent, draft) => {
    draft.options.access = intent === "readonly" ? "read-only" : "read-write"
  }),
  applicationname: applicationName,
  app: applicationName,
  logintimeout: connectSeconds,
  connecttimeout: connectSeconds,
  connectiontimeout: connectSeconds,
  integratedsecurity: only("false", "no"),
  trustedconnection: only("false", "no"),
  multisubnetfailover: ignored,
  multipleactiveresultsets: ignored,
  marsconnection: ignored,
  driver: ignored,
  timeout: connectSeconds,
  addr: server,
  address: server,
  networkaddress: server,
  persistsecurityinfo: ignored,
  maxpoolsize: connectionLimit,
  minpoolsize: take(settings.pool.minIdle.kind, (size, draft) => {
    draft.pool.minIdle = size
  }),
  pooling: only("true", "yes"),
  connectionlifetime: take(lifetime, (limit, draft) => {
    draft.pool.maxLifetime = limit
  }),
  loadbalancetimeout: take(lifetime, (limit, draft) => {
    draft.pool.maxLifetime = limit
  }),
  commandtimeout: statementSeconds,
  authentication,
  clientid: asSetting("clientId"),
  tenantid: asSetting("tenantId"),
  domain: asSetting("domain"),
  hostnameincertificate: asSetting("serverName"),
  servercertificate: sslRootCert,
  currentlanguage: asSetting("LANGUAGE"),
  language: asSetting("LANGUAGE"),
  columnencryptionsetting: only("disabled"),
  columnencryption: only("disabled"),
  replication: only("false", "no"),
  userinstance: only("false", "no"),
  contextconnection: only("false", "no"),
  failoverpartner: instead(
    "nothing: the partner is given as a second host, mssql://user:password@one:1433,two:1433/name"
  ),
  attachdbfilename: instead("nothing: the database is attached on the server, and given as database"),
  dsn: instead("nothing: what the DSN says is given in the string"),
  sslmode: foreign,
  packetsize: ignored,
  workstationid: ignored,
  wsid: ignored,
  enlist: ignored,
  asynchronousprocessing: ignored,
  connectretrycount: ignored,
  connectretryinterval: ignored,
  typesystemversion: ignored,
  transactionbinding: ignored,
  transparentnetworkipresolution: ignored,
  poolblockingperiod: ignored,
  ipaddresspreference: ignored,
  networklibrary: ignored,
  network: ignored,
  connectionlimit: connectionLimit,
  pooltimeout: poolTimeout
}

-- What scripts find instead of Lua's own globals. Run once per interpreter, with the table of
-- functions that Rust gives; returns a table of what the engine needs.
--
-- Scripts share one interpreter, so nothing that outlives a script may be changed by one. What they
-- can reach is therefore shown through proxies: empty tables whose metatable reads from a hidden
-- table and refuses writes. Hidden tables are only upvalues here; no function returns one.
local rust = ...
local error, type, tostring, rawget = error, type, tostring, rawget
local xpcall_of, pcall_of, setmetatable_of, unpack_of = xpcall, pcall, setmetatable, unpack
local insert_of, collect_of, getmetatable_of = table.insert, collectgarbage, getmetatable
local resume_of, select_of = coroutine.resume, select
local READONLY = 'Attempt to modify a readonly table'

local function refuse()
  error(READONLY, 2)
end

local function absent(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

local proxies = {}

-- A read-only view of `content`.
local function show(content)
  local proxy = setmetatable_of({}, { __index = content, __newindex = refuse })
  proxies[proxy] = content
  rust.protect(proxy)
  return proxy
end

-- What getmetatable says of anything protected.
local locked = show({ __index = absent })

local G = {}
for _, name in ipairs({
  'assert', 'error', 'gcinfo', 'ipairs', 'next', 'pairs', 'rawequal', 'select', 'tonumber',
  'tostring', 'type', '_VERSION',
}) do
  G[name] = _G[name]
end

local of_functions

function G.getmetatable(value)
  if of_functions and value == of_functions.env then
    return of_functions.shown
  end
  if proxies[value] or type(value) == 'string' then
    return locked
  end
  return getmetatable_of(value)
end

G.setmetatable, G.rawset = rust.setmetatable, rust.rawset

function G.rawget(table, key)
  return rawget(proxies[table] or table, key)
end

-- An error that came from Rust, or that redis.call raised, is its text to whoever catches it.
local function caught(ok, reason, ...)
  if ok then
    return ok, reason, ...
  end
  if type(reason) == 'userdata' then
    reason = rust.reason(reason, false)
  elseif type(reason) == 'table' and type(rawget(reason, 'err')) == 'string' then
    reason = rawget(reason, 'err')
  end
  return false, reason
end

function G.pcall(...)
  return caught(pcall_of(...))
end

-- Calls the handler once the work is unwound: nothing that a script can reach tells the difference.
local function handled(handler, ok, reason, ...)
  if ok then
    return ok, reason, ...
  end
  if type(reason) == 'userdata' then
    reason = rust.reason(reason, true)
  end
  local _, value = G.pcall(handler, reason)
  return false, value
end

function G.xpcall(work, handler)
  return handled(handler, pcall_of(work))
end

function G.unpack(list, from, to)
  if from == nil and to == nil then
    if #list > 7999 then
      error('too many results to unpack', 2)
    end
    return unpack_of(list)
  end
  from, to = from or 1, to or #list
  if not (to - from < 7997) then
    error('too many results to unpack', 2)
  end
  return unpack_of(list, from, to)
end

function G.collectgarbage(what)
  if what == 'count' then
    return collect_of('count')
  elseif what == nil or what == 'collect' or what == 'step' then
    return collect_of('collect')
  end
  return 0
end

local strings = {}
-- What `dump` gives nobody loads.
for _, name in ipairs({
  'byte', 'char', 'dump', 'format', 'len', 'lower', 'reverse', 'sub', 'upper',
}) do
  strings[name] = string[name]
end
for _, name in ipairs({ 'find', 'gmatch', 'gsub', 'match', 'rep' }) do
  strings[name] = rust[name]
end
strings.gfind = strings.gmatch
G.string = show(strings)
local of_strings = getmetatable_of('')
of_strings.__index = strings
of_strings.__metatable = locked

local tables = {}
for name, f in pairs(table) do
  tables[name] = f
end
function tables.insert(list, ...)
  if select_of('#', ...) == 2 then
    local at = ...
    if type(at) == 'number' and at < -1000 then
      error("bad argument #2 to 'insert' (position out of bounds)", 2)
    end
  end
  return insert_of(list, ...)
end
G.table = show(tables)

local maths = {}
for name, f in pairs(math) do
  maths[name] = f
end
G.math = show(maths)

local coroutines = {}
for name, f in pairs(coroutine) do
  coroutines[name] = f
end
local function resumed(ok, reason, ...)
  if not ok and type(reason) == 'userdata' then
    return false, rust.reason(reason, true)
  end
  return ok, reason, ...
end
function coroutines.resume(...)
  return resumed(resume_of(...))
end
G.coroutine = show(coroutines)

G.os = show({ clock = rust.clock })
for _, name in ipairs({ 'bit', 'cjson', 'cmsgpack', 'struct' }) do
  G[name] = show(rust[name])
end

-- The environment of scripts, or of functions: what globals there are, and a way to change them.
local function world(redis)
  local content = {}
  for name, value in pairs(G) do
    content[name] = value
  end
  content.redis = show(redis)
  setmetatable_of(content, { __index = absent })
  local env = show(content)
  content._G = env
  local function load_text(text)
    return rust.compile(text, env)
  end
  content.loadstring = load_text
  content.load = function(reader)
    local parts = {}
    while true do
      local part = reader()
      if part == nil or part == '' then
        return load_text(table.concat(parts))
      end
      parts[#parts + 1] = part
    end
  end
  return env, content
end

local scripts, script_globals = world(rust.redis_script)
local functions, function_globals = world(rust.redis_function)

of_functions = { env = functions, shown = show({ __index = functions }) }

-- While a library is loaded there is only a `redis`, which registers functions and calls nothing.
local loading = { redis = show(setmetatable_of(rust.redis_load, { __index = absent })) }
setmetatable_of(loading, { __index = absent })
local environment = getmetatable_of(functions)

-- Notes the place of an error before the stack is unwound. What came from Rust is read only after
-- that: it may be a panic, which must not go on in here.
local describe_of = rust.describe
local function describe(reason)
  describe_of(type(reason) ~= 'userdata' and reason or nil)
  return reason
end

local function run_script(script, keys, argv)
  script_globals.KEYS, script_globals.ARGV = keys, argv or {} -- made here it is cheaper
  return xpcall_of(script, describe)
end

local function run_function(f, keys, argv)
  return xpcall_of(function()
    local value = f(keys, argv or {}) -- no tail call: its frame tells the line of an error
    return value
  end, describe)
end

local function run_library(library)
  environment.__index = loading
  local ok, reason = xpcall_of(library, describe)
  environment.__index = function_globals
  return ok, reason
end

-- After a library was stopped from outside, or when there is much to collect.
local function recover()
  environment.__index = function_globals
  script_globals.KEYS, script_globals.ARGV = nil, nil
end

-- For scripts that leave both lists as they are.
local function show_lists(keys, argv)
  script_globals.KEYS, script_globals.ARGV = keys, argv
end

return {
  scripts = scripts, functions = functions, run_script = run_script, run_function = run_function,
  run_library = run_library, recover = recover, show = show_lists, xpcall = xpcall_of,
  describe = describe,
}

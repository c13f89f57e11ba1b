-- Wireshark / tshark dissector for GVC captures (LINKTYPE_USER0), format of protocol/WIRE.md, version 1.
--
--   tshark -X lua_script:protocol/dissector/gvc.lua -r mission.pcap
--   wireshark -X lua_script:protocol/dissector/gvc.lua mission.pcap   (or copy it to the plugin folder)
--
-- Filters: gvc.part == 1, gvc.unit == 12, gvc.crc.status == 0, gvc.status != "DATAGRAM", gvc.rs ...
-- gvc.status holds DATAGRAM or the reason that the receiver gives (gvc_protocol.wire.RejectReason).
-- Works with Lua 5.1 to 5.4. RS frames are shown as they came; they are not corrected here.

local gvc = Proto("gvc", "Generative Video Compression link")

local OVERHEAD, TAG, CODEWORD, PARITY = 21, 8, 255, 32
local PARTS = {[0] = "D descriptors", [1] = "K keyframe", [2] = "F features", [3] = "message"}
local LETTER = {[0] = "D", [1] = "K", [2] = "F", [3] = "M"}
local RECORDS = {
  [1] = "weights", [2] = "global motion", [3] = "telemetry", [4] = "detections", [5] = "end of stream",
  [6] = "tracks", [7] = "motion path", [8] = "thermal", [9] = "ladder",
  [10] = "interleave", [11] = "truth map", [12] = "keyframe", [13] = "features",
}
local CLASSES = {
  [0] = "mover", [1] = "person", [2] = "vehicle", [3] = "hot spot", [4] = "fire", [5] = "animal", [6] = "boat",
  [7] = "text",
}
local STEPS = {
  [0] = "full motion", [1] = "fewer frames", [2] = "stills with carried motion", [3] = "descriptors and chips",
}
local CRC_NAMES = {[0] = "bad", [1] = "good"}

local f = {}
local function field(key, kind, name, ...)
  f[key] = ProtoField[kind]("gvc." .. key, name, ...)
end
field("status", "string", "Status")
field("sync", "uint16", "Sync word", base.HEX)
field("version", "uint8", "Version", base.DEC, nil, 0xF0)
field("flags", "uint8", "Flags", base.HEX, nil, 0x0F)
field("flags.tag", "bool", "Tag present", 8, nil, 0x01)
field("flags.encrypted", "bool", "Payload encrypted", 8, nil, 0x02)
field("flags.from_base", "bool", "From the base", 8, nil, 0x04)
field("flags.over", "bool", "Over: the sender listens now", 8, nil, 0x08)
field("part", "uint16", "Part", base.DEC, PARTS, 0xC000)
field("last", "bool", "Last block of the part", 16, nil, 0x2000)
field("k_sent", "bool", "Unit has a keyframe", 16, nil, 0x1000)
field("f_sent", "bool", "Unit has features", 16, nil, 0x0800)
field("length", "uint16", "Payload length", base.DEC, nil, 0x07FF)
field("stream", "uint16", "Stream id", base.DEC)
field("boot", "uint16", "Boot id", base.DEC)
field("seq", "uint24", "Sequence (low 24 bits)", base.DEC)
field("unit", "uint16", "Unit (low 16 bits)", base.DEC)
field("block", "uint8", "Block", base.DEC)
field("symbol", "uint8", "Symbol", base.DEC)
field("k", "uint16", "k, data symbols of the block", base.DEC)
field("parity", "bool", "Parity symbol")
field("payload", "bytes", "Payload")
field("tag", "bytes", "Tag")
field("crc", "uint32", "CRC-32", base.HEX)
field("crc.status", "uint8", "CRC status", base.DEC, CRC_NAMES)
field("rs", "bytes", "Reed-Solomon frame")
field("rs.sync", "uint16", "RS sync word", base.HEX)
field("rs.codewords", "uint16", "Codewords", base.DEC)
field("rs.parity", "bytes", "RS parity")
field("noise", "bytes", "No datagram")
field("segment.counter", "uint8", "If a segment: counter", base.DEC, nil, 0xF0)
field("segment.index", "uint8", "If a segment: index", base.DEC, nil, 0x0F)
field("content.offset", "uint24", "Offset of the block in its part", base.DEC)
field("content.pad", "uint8", "Padding of the block", base.DEC)
field("d.codec", "uint8", "Codec id", base.DEC)
field("d.bitstream", "uint8", "Bitstream version", base.DEC)
field("d.capture_us", "uint64", "Capture time, microseconds since 1970", base.DEC)
field("d.width", "uint64", "Width", base.DEC)
field("d.height", "uint64", "Height", base.DEC)
field("d.fps_num", "uint64", "Frame rate, numerator", base.DEC)
field("d.fps_den", "uint64", "Frame rate, denominator", base.DEC)
field("d.first_frame", "uint64", "First frame", base.DEC)
field("d.frames", "uint64", "Frames", base.DEC)
field("d.total_frames", "uint64", "Frames of the source", base.DEC)
field("d.record.type", "uint8", "Record", base.DEC, RECORDS)
field("d.record.value", "bytes", "Value")
field("d.weights", "bytes", "Weights, SHA-256 prefix")
field("d.motion", "int16", "Homography coefficient, 2^-14", base.DEC)
field("d.lat", "int32", "Latitude, 1e-7 degree", base.DEC)
field("d.lon", "int32", "Longitude, 1e-7 degree", base.DEC)
field("d.alt_cm", "int32", "Altitude, cm", base.DEC)
field("d.roll", "int16", "Roll, 0.01 degree", base.DEC)
field("d.pitch", "int16", "Pitch, 0.01 degree", base.DEC)
field("d.yaw", "int16", "Yaw, 0.01 degree", base.DEC)
field("d.detection", "bytes", "Detection (class, score %, x, y, width, height)")
field("d.track.id", "uint64", "Track", base.DEC)
field("d.track.class", "uint8", "Class", base.DEC, CLASSES)
field("d.track.score", "uint8", "Score, %", base.DEC)
field("d.track.box", "string", "Box (frame: width x height at x, y)")
field("d.path.offset", "uint64", "Control point, frame", base.DEC)
field("d.path.corners", "string", "Displacement of the corners, 1/8 pixel")
field("d.path.residual", "uint8", "Residual, 1/8 pixel (255 unknown)", base.DEC)
field("d.thermal.lo", "uint16", "Sensor counts of level 0", base.DEC)
field("d.thermal.hi", "uint16", "Sensor counts of level 255", base.DEC)
field("d.thermal.white_hot", "bool", "White-hot", 8, nil, 0x01)
field("d.thermal.knee", "uint16", "Sensor counts of level 224, the knee", base.DEC)
field("d.ladder", "uint8", "Step of the ladder", base.DEC, STEPS)

local list = {}
for _, item in pairs(f) do
  list[#list + 1] = item
end
gvc.fields = list

local bad_crc = ProtoExpert.new("gvc.expert.crc", "CRC is wrong", expert.group.CHECKSUM, expert.severity.ERROR)
local refused = ProtoExpert.new("gvc.expert.refused", "Not a datagram", expert.group.PROTOCOL, expert.severity.WARN)
gvc.experts = {bad_crc, refused}

-- Bit operations are a library up to Lua 5.3 and operators after it, which older ones cannot parse.
local bits = rawget(_G, "bit32") or rawget(_G, "bit")
local bxor = bits and function(a, b) return bits.bxor(a, b) % 4294967296 end
  or (loadstring or load)("return function(a, b) return a ~ b end")()

local crc_table = {}
for i = 0, 255 do
  local value = i
  for _ = 1, 8 do
    local odd = value % 2
    value = (value - odd) / 2
    if odd == 1 then value = bxor(value, 0xEDB88320) end
  end
  crc_table[i] = math.floor(value)
end

local function crc32(range)
  local bytes, crc = range:bytes(), 0xFFFFFFFF
  for i = 0, bytes:len() - 1 do
    local low = crc % 256
    crc = bxor(crc_table[bxor(low, bytes:get_index(i))], math.floor((crc - low) / 256))
  end
  return bxor(crc, 0xFFFFFFFF)
end

local function bit_errors(a, b)
  local wrong, count = bxor(a, b), 0
  while wrong > 0 do
    count = count + wrong % 2
    wrong = math.floor(wrong / 2)
  end
  return count
end

-- Unsigned LEB128 at `at`: (UInt64, number, length), or nil when it is cut. 63 bits do not fit a
-- double, so it is gathered as 28 low bits and the rest.
local function varint(tvb, at, stop)
  local low, high, scale = 0, 0, 1
  for count = 0, 8 do
    if at + count >= stop then return nil end
    local byte = tvb(at + count, 1):uint()
    if count == 4 then scale = 1 end
    if count < 4 then low = low + byte % 128 * scale else high = high + byte % 128 * scale end
    scale = scale * 128
    if byte < 128 then
      local upper = math.floor(high / 16)
      return UInt64.new(low + high % 16 * 268435456, upper), low + high * 268435456, count + 1
    end
  end
  return nil
end

-- A point of `count` numbers at `at`: varint frames since the last one, then signed differences to what
-- constant velocity foresees. `done` holds the points so far, each {offset, numbers...}; nil when cut.
local function pull_point(value, at, done, count, signed)
  local _, ahead, size = varint(value, at, value:len())
  if not ahead then return nil end
  local last, before = done[#done], done[#done - 1]
  local point = {(last and last[1] or 0) + ahead}
  at = at + size
  for i = 2, count + 1 do
    local _, number, used = varint(value, at, value:len())
    if not number then return nil end
    local difference = number
    if signed then difference = number % 2 == 0 and number / 2 or -(number + 1) / 2 end
    local foreseen = last and last[i] or 0
    if before then
      local span = last[1] - before[1]
      if span < 1 then return nil end
      foreseen = foreseen + math.floor((2 * (last[i] - before[i]) * ahead + span) / (2 * span))
    end
    point[i] = foreseen + difference
    at = at + used
  end
  return point, at
end

-- math.floor leaves a double beyond integers alone, and "%d" then raises: so everything is "%.0f".
local function show_tracks(tree, value)
  local _, count, at = varint(value, 0, value:len())
  for _ = 1, math.min(count or 0, 64) do
    local id, _, size = varint(value, at, value:len())
    if not id or at + size + 2 > value:len() then return end
    local sub = tree:add(f["d.track.id"], value(at, size), id)
    at = at + size
    sub:add(f["d.track.class"], value(at, 1))
    sub:add(f["d.track.score"], value(at + 1, 1))
    local _, points, used = varint(value, at + 2, value:len())
    if not points then return end
    at = at + 2 + used
    local done = {}
    for i = 1, math.min(points, 32) do
      local point, stop = pull_point(value, at, done, 4, i > 1)
      if not point then return end
      done[i] = point
      local box = string.format(
        "%.0f: %.0f x %.0f at %.0f, %.0f", point[1], point[4], point[5], point[2], point[3])
      sub:add(f["d.track.box"], value(at, stop - at), box)
      at = stop
    end
  end
end

local function show_path(tree, value)
  local _, count, at = varint(value, 0, value:len())
  local done = {{0, 0, 0, 0, 0, 0, 0, 0, 0}}
  for _ = 1, math.min(count or 0, 64) do
    local point, stop = pull_point(value, at, done, 8, true)
    if not point or stop >= value:len() then return end
    done[#done + 1] = point
    local sub = tree:add(f["d.path.offset"], value(at, stop + 1 - at), UInt64.new(math.min(point[1], 100000)))
    sub:add(f["d.path.corners"], value(at, stop - at), string.format(
      "%.0f,%.0f %.0f,%.0f %.0f,%.0f %.0f,%.0f", point[2], point[3], point[4], point[5], point[6], point[7],
      point[8], point[9]))
    sub:add(f["d.path.residual"], value(stop, 1))
    at = stop + 1
  end
end

local function show_record(tree, kind, value)
  if kind == 1 and value:len() == 4 then
    tree:add(f["d.weights"], value)
  elseif kind == 2 and value:len() == 16 then
    for i = 0, 7 do tree:add(f["d.motion"], value(2 * i, 2)) end
  elseif kind == 3 and value:len() == 18 then
    for i, name in ipairs({"lat", "lon", "alt_cm"}) do tree:add(f["d." .. name], value(4 * i - 4, 4)) end
    for i, name in ipairs({"roll", "pitch", "yaw"}) do tree:add(f["d." .. name], value(10 + 2 * i, 2)) end
  elseif kind == 4 and value:len() % 10 == 0 then
    for i = 0, value:len() - 10, 10 do
      local row = tree:add(f["d.detection"], value(i, 10))
      row:append_text(string.format(
        ": class %d, %d %%, %d x %d at (%d, %d)", value(i, 1):uint(), value(i + 1, 1):uint(),
        value(i + 6, 2):uint(), value(i + 8, 2):uint(), value(i + 2, 2):uint(), value(i + 4, 2):uint()))
    end
  elseif kind == 6 then
    show_tracks(tree, value)
  elseif kind == 7 then
    show_path(tree, value)
  elseif kind == 8 and value:len() >= 5 then
    tree:add(f["d.thermal.lo"], value(0, 2))
    tree:add(f["d.thermal.hi"], value(2, 2))
    tree:add(f["d.thermal.white_hot"], value(4, 1))
    if value:len() == 7 then tree:add(f["d.thermal.knee"], value(5, 2)) end
  elseif kind == 9 and value:len() >= 2 then
    tree:add(f["d.ladder"], value(0, 1))
  end
end

-- Part D, when one datagram holds all of it: bytes at .. stop - 1.
local function show_descriptors(tvb, at, stop, tree)
  if stop - at < 10 then return end
  local sub = tree:add(gvc, tvb(at, stop - at), "Descriptors")
  sub:add(f["d.codec"], tvb(at, 1))
  sub:add(f["d.bitstream"], tvb(at + 1, 1))
  sub:add(f["d.capture_us"], tvb(at + 2, 8))
  at = at + 10
  local names = {"width", "height", "fps_num", "fps_den", "first_frame", "frames", "total_frames"}
  for _, name in ipairs(names) do
    local value, _, size = varint(tvb, at, stop)
    if not value then return end
    sub:add(f["d." .. name], tvb(at, size), value)
    at = at + size
  end
  while at < stop do
    local _, length, size = varint(tvb, at + 1, stop)
    if not length or at + 1 + size + length > stop then return end
    local kind = tvb(at, 1):uint()
    local record = sub:add(gvc, tvb(at, 1 + size + length), "Record: " .. (RECORDS[kind] or "unknown"))
    record:add(f["d.record.type"], tvb(at, 1))
    if length > 0 then
      local value = tvb(at + 1 + size, length)
      record:add(f["d.record.value"], value)
      show_record(record, kind, value)
    end
    at = at + 1 + size + length
  end
end

local function show_content(tvb, at, length, header, tree)
  if header.symbol ~= 0 or length < 4 then return end
  tree:add(f["content.offset"], tvb(at, 3))
  tree:add(f["content.pad"], tvb(at + 3, 1))
  local stop = at + length - tvb(at + 3, 1):uint()
  if header.part == 0 and header.k == 1 and tvb(at, 3):uint() == 0 then
    show_descriptors(tvb, at + 4, stop, tree)
  end
end

local function show_header(tvb, at, tree)
  tree:add(f.version, tvb(at, 1))
  local flags = tree:add(f.flags, tvb(at, 1))
  for _, name in ipairs({"tag", "encrypted", "from_base", "over"}) do flags:add(f["flags." .. name], tvb(at, 1)) end
  for _, name in ipairs({"part", "last", "k_sent", "f_sent", "length"}) do tree:add(f[name], tvb(at + 1, 2)) end
  tree:add(f.stream, tvb(at + 3, 2))
  tree:add(f.boot, tvb(at + 5, 2))
  tree:add(f.seq, tvb(at + 7, 3))
  tree:add(f.unit, tvb(at + 10, 2))
  tree:add(f.block, tvb(at + 12, 1))
  tree:add(f.symbol, tvb(at + 13, 1))
  local head = {
    part = math.floor(tvb(at + 1, 1):uint() / 64), unit = tvb(at + 10, 2):uint(),
    block = tvb(at + 12, 1):uint(), symbol = tvb(at + 13, 1):uint(), k = tvb(at + 14, 1):uint() + 1,
    version = math.floor(tvb(at, 1):uint() / 16), flags = tvb(at, 1):uint() % 16,
  }
  tree:add(f.k, tvb(at + 14, 1), head.k)
  tree:add(f.parity, tvb(at + 13, 1), head.symbol >= head.k):set_generated()
  return head
end

-- A datagram whose version byte is at `at`. `exact`: it must end where the bytes end.
local function show_datagram(tvb, at, tree, exact)
  local left = tvb:len() - at
  if left < 3 then return "TRUNCATED" end
  local tag = tvb(at, 1):uint() % 2 * TAG
  local length = tvb(at + 1, 2):uint() % 2048
  local size = OVERHEAD - 2 + length + tag
  if left < 15 then return "TRUNCATED" end
  local head = show_header(tvb, at, tree)
  if left < size then return "TRUNCATED", head end
  if exact and left > size then return "TOO_LONG", head end
  local body = at + 15
  if length > 0 then tree:add(f.payload, tvb(body, length)) end
  if tag > 0 then tree:add(f.tag, tvb(body + length, tag)) end
  local at_crc = at + size - 4
  local crc = tree:add(f.crc, tvb(at_crc, 4))
  local good = crc32(tvb(at, size - 4)) == tvb(at_crc, 4):uint()
  tree:add(f["crc.status"], tvb(at_crc, 4), good and 1 or 0):set_generated()
  if not good then
    crc:add_proto_expert_info(bad_crc)
    return "BAD_CRC", head
  end
  if head.version ~= 1 then return "BAD_VERSION", head end
  head.encrypted = math.floor(head.flags / 2) % 2 == 1
  head.from_base = math.floor(head.flags / 4) % 2 == 1
  head.over = head.flags >= 8
  if head.encrypted and head.flags % 2 == 0 then return "BAD_FLAGS", head end
  if length == 0 then return "BAD_FIELD", head end
  if not head.encrypted then show_content(tvb, body, length, head, tree) end
  return "DATAGRAM", head
end

local function show_rs_frame(tvb, tree)
  local sub = tree:add(f.rs, tvb())
  sub:add(f["rs.sync"], tvb(0, 2))
  local body, words = ByteArray.new(), 0
  for at = 2, tvb:len() - 1, CODEWORD do
    local size = math.min(CODEWORD, tvb:len() - at)
    words = words + 1
    if size > PARITY then
      body:append(tvb(at, size - PARITY):bytes())
      sub:add(f["rs.parity"], tvb(at + size - PARITY, PARITY))
    end
  end
  sub:add(f["rs.codewords"], words):set_generated()
  if body:len() < OVERHEAD - 2 then return "BAD_CRC" end
  return show_datagram(body:tvb("GVC RS body, not corrected"), 0, sub, false)
end

function gvc.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "GVC"
  if tvb:len() == 0 then return 0 end
  local tree = root:add(gvc, tvb())
  local first = tvb:len() >= 2 and tvb(0, 2):uint() or -1
  local status, head, kind = "NO_SYNC", nil, ""
  if first == 0xEB90 then
    tree:add(f.sync, tvb(0, 2))
    status, head = show_datagram(tvb, 2, tree, true)
  elseif first >= 0 and bit_errors(first, 0x146F) <= 3 then
    kind = "RS frame, "
    status, head = show_rs_frame(tvb, tree)
  else
    tree:add(f.noise, tvb())
    tree:add(f["segment.counter"], tvb(0, 1))
    tree:add(f["segment.index"], tvb(0, 1))
  end
  local item = tree:add(f.status, status):set_generated()
  local info = kind .. status
  if head then
    info = string.format("%s%s%s %s %d block %d symbol %d of %d%s%s%s", kind, head.from_base and "base: " or "",
      LETTER[head.part], head.part == 3 and "message" or "unit", head.unit, head.block, head.symbol, head.k,
      head.symbol >= head.k and " (parity)" or "", head.encrypted and " encrypted" or "", head.over and ", over" or "")
    if status ~= "DATAGRAM" then info = info .. " [" .. status .. "]" end
  end
  if status ~= "DATAGRAM" then item:add_proto_expert_info(refused) end
  pinfo.cols.info = info
  tree:append_text(", " .. info)
  return tvb:len()
end

local encaps = rawget(_G, "wtap_encaps") or rawget(_G, "wtap")
DissectorTable.get("wtap_encap"):add(encaps.USER0, gvc)

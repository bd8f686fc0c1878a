// Reports what Java's parsers read in requests: Tomcat's form parser, JSON parsers, and
// Spring's binding of what Tomcat read. README.md in this folder describes the
// protocol.

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParser;
import com.google.gson.JsonStreamParser;
import com.google.gson.ToNumberPolicy;
import jakarta.servlet.MultipartConfigElement;
import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.Part;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.catalina.Context;
import org.apache.catalina.Wrapper;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.commons.fileupload.FileItem;
import org.apache.commons.fileupload.FileUpload;
import org.apache.commons.fileupload.UploadContext;
import org.apache.commons.fileupload.disk.DiskFileItemFactory;
import org.eclipse.jetty.util.MultiMap;
import org.eclipse.jetty.util.UrlEncoded;
import org.springframework.beans.MutablePropertyValues;
import org.springframework.web.bind.WebDataBinder;

@SuppressWarnings("deprecation") // Gson's setLenient, whose successor Debian does not have
public class Backend {
    static final Gson PLAIN = new Gson();
    static final Gson NULLS = new GsonBuilder().serializeNulls().create();
    static final List<String> WATCHED = new ArrayList<>();
    static final Map<String, Object> FILE = Map.of();

    /** Reads a body or a request into names and values. */
    interface Parser {
        Iterable<Object[]> read() throws Exception;
    }

    /** What the parsers of one request said. */
    static final class Answer {
        final Map<String, Object> readings = new LinkedHashMap<>();

        void ask(String name, String place, Parser parser) {
            Map<String, Object> reading = new LinkedHashMap<>();
            reading.put("place", place);
            try {
                reading.put("fields", pairs(parser.read()));
            } catch (Exception | StackOverflowError fault) {
                reading.put("fields", null);
                reading.put("fault", String.valueOf(fault));
            }
            readings.put("java " + name, reading);
        }

        void to(HttpServletResponse response) throws IOException {
            response.setContentType("application/json");
            response.getOutputStream().write(NULLS.toJson(readings).getBytes(StandardCharsets.UTF_8));
        }
    }

    static String told(Object value) {
        if (value instanceof String || value instanceof Character) {
            return "s" + Base64.getEncoder().encodeToString(value.toString().getBytes(StandardCharsets.UTF_8));
        }
        if (value instanceof byte[]) {
            return "s" + Base64.getEncoder().encodeToString((byte[]) value);
        }
        if (value instanceof Double && (Double) value == Math.rint((Double) value) && Math.abs((Double) value) < 1L << 53) {
            value = ((Double) value).longValue(); // what Gson makes of an integer
        }
        return (value instanceof Number && value.toString().matches("-?[0-9]+") ? "i" : "x") + value;
    }

    // The values below a path: [path, reported value].
    static void leaves(List<Object> found, List<String> path, Object value) {
        if (value == null || "".equals(value)) {
            return;
        }
        Map<String, Object> inner = new LinkedHashMap<>();
        if (value instanceof Map) {
            ((Map<?, ?>) value).forEach((k, v) -> inner.put(String.valueOf(k), v));
        } else if (value instanceof Collection) {
            int i = 0;
            for (Object v : (Collection<?>) value) {
                inner.put(String.valueOf(i++), v);
            }
        }
        if (path.size() < 8 && !inner.isEmpty()) {
            inner.forEach((name, v) -> {
                List<String> longer = new ArrayList<>(path);
                longer.add(name);
                leaves(found, longer, v);
            });
            return;
        }
        found.add(List.of(path, told(value)));
    }

    static List<Object> pairs(Iterable<Object[]> fields) {
        List<Object> found = new ArrayList<>();
        for (Object[] field : fields) {
            String name = String.valueOf(field[0]);
            if (WATCHED.stream().anyMatch(name.toLowerCase(Locale.ROOT)::contains)) {
                leaves(found, List.of(name), field[1]);
            }
        }
        return found;
    }

    static List<Object[]> document(Object value) {
        List<Object[]> fields = new ArrayList<>();
        if (value instanceof Map) {
            ((Map<?, ?>) value).forEach((k, v) -> fields.add(new Object[] {k, v}));
        }
        return fields;
    }

    static List<Object[]> multi(Map<String, String[]> parameters) {
        List<Object[]> fields = new ArrayList<>();
        parameters.forEach((name, values) -> {
            for (String value : values) {
                fields.add(new Object[] {name, value});
            }
        });
        return fields;
    }

    /** A form object as Spring's controllers declare it. */
    public static class Form {
        private final Map<String, Object> set = new LinkedHashMap<>();
        private Nested user = new Nested();
        private Nested conversation = new Nested();

        public void setUser_id(String value) { set.put("user_id", value); }
        public void setUserId(String value) { set.put("userId", value); }
        public void setUser_hash(String value) { set.put("user_hash", value); }
        public void setUserHash(String value) { set.put("userHash", value); }
        public void setId(String value) { set.put("id", value); }
        public void setSignature(String value) { set.put("signature", value); }
        public void setConversation_id(String value) { set.put("conversation_id", value); }
        public Nested getUser() { return user; }
        public Nested getConversation() { return conversation; }

        Map<String, Object> all() {
            Map<String, Object> all = new LinkedHashMap<>(set);
            user.set.forEach((name, value) -> all.put("user", user.set));
            conversation.set.forEach((name, value) -> all.put("conversation", conversation.set));
            return all;
        }
    }

    public static class Nested {
        private final Map<String, Object> set = new LinkedHashMap<>();

        public void setId(String value) { set.put("id", value); }
        public void setHash(String value) { set.put("hash", value); }
    }

    /** The same with maps. */
    public static class Maps {
        private final Map<String, String> user = new LinkedHashMap<>();
        private final Map<String, String> conversation = new LinkedHashMap<>();

        public Map<String, String> getUser() { return user; }
        public Map<String, String> getConversation() { return conversation; }
    }

    static final class Binder extends WebDataBinder {
        Binder(Object form) {
            super(form);
            setIgnoreInvalidFields(true);
        }

        void bind(Map<String, String[]> parameters) {
            MutablePropertyValues values = new MutablePropertyValues();
            parameters.forEach((name, v) -> {
                // Spring joins several values into one string, also equal and empty ones.
                Object[] different = Arrays.stream(v).filter(one -> !one.isEmpty()).distinct().toArray();
                if (different.length > 0) {
                    values.addPropertyValue(name, different.length == 1 ? different[0] : v);
                }
            });
            doBind(values);
        }
    }

    static final Pattern ROUTE = Pattern.compile("^/chat/c/([^/]+)");

    /** Lets Tomcat read the request. */
    static final class Forms extends HttpServlet {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            Answer answer = new Answer();
            answer.ask("Tomcat getParameter", "merged", () -> multi(request.getParameterMap()));
            answer.ask("Tomcat getParts", "form", () -> {
                List<Object[]> fields = new ArrayList<>();
                for (Part part : request.getParts()) {
                    fields.add(new Object[] {part.getName(), part.getSubmittedFileName() == null ? part.getInputStream().readAllBytes() : FILE});
                }
                return fields;
            });
            answer.ask("Spring data binder", "merged", () -> {
                Form form = new Form();
                new Binder(form).bind(request.getParameterMap());
                return document(form.all());
            });
            answer.ask("Spring data binder of maps", "merged", () -> {
                Maps form = new Maps();
                new Binder(form).bind(request.getParameterMap());
                return List.of(new Object[] {"user", form.user}, new Object[] {"conversation", form.conversation});
            });
            answer.ask("Tomcat path", "path", () -> {
                String path = request.getServletPath() + (request.getPathInfo() == null ? "" : request.getPathInfo());
                Matcher found = ROUTE.matcher(path);
                List<Object[]> fields = new ArrayList<>();
                if (found.find()) {
                    fields.add(new Object[] {"conversation_id", found.group(1)});
                }
                return fields;
            });
            answer.ask("Tomcat getCookies", "cookie", () -> {
                List<Object[]> fields = new ArrayList<>();
                for (Cookie cookie : request.getCookies() == null ? new Cookie[0] : request.getCookies()) {
                    fields.add(new Object[] {cookie.getName(), cookie.getValue()});
                }
                return fields;
            });
            answer.to(response);
        }
    }

    static final Gson LENIENT = new GsonBuilder().setLenient().setObjectToNumberStrategy(ToNumberPolicy.LAZILY_PARSED_NUMBER).create();
    static final ObjectMapper JACKSON = new ObjectMapper();
    static final ObjectMapper BINDING = JsonMapper.builder().configure(MapperFeature.ACCEPT_CASE_INSENSITIVE_PROPERTIES, true)
            .configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false).build();
    static final ObjectMapper GENEROUS = generous();

    static ObjectMapper generous() {
        JsonMapper.Builder builder = JsonMapper.builder();
        for (JsonReadFeature feature : JsonReadFeature.values()) {
            builder.enable(feature);
        }
        return builder.build();
    }

    /** Hands the body to parsers of JSON, and of forms outside of Tomcat. */
    static final class Bodies extends HttpServlet {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            byte[] body = request.getInputStream().readAllBytes();
            String text = new String(body, StandardCharsets.UTF_8);
            String type = request.getContentType() == null ? "" : request.getContentType();
            Answer answer = new Answer();
            answer.ask("Gson lenient", "json", () -> document(LENIENT.fromJson(text, Map.class)));
            answer.ask("Gson by declaration", "json", () -> document(byGson(text)));
            answer.ask("Gson JsonParser", "json", () -> document(PLAIN.fromJson(JsonParser.parseString(text), Map.class)));
            answer.ask("Gson stream", "json", () -> document(PLAIN.fromJson(new JsonStreamParser(text).next(), Map.class)));
            answer.ask("Jackson", "json", () -> document(JACKSON.readValue(body, Object.class)));
            answer.ask("Jackson generous", "json", () -> document(GENEROUS.readValue(body, Object.class)));
            answer.ask("Jackson generous text", "json", () -> document(GENEROUS.readValue(text, Object.class)));
            answer.ask("Jackson any case", "json", () -> document(BINDING.readValue(body, Form.class).all()));
            if (type.toLowerCase(Locale.ROOT).contains("urlencoded")) {
                answer.ask("Jetty UrlEncoded", "form", () -> {
                    MultiMap<String> fields = new MultiMap<>();
                    UrlEncoded.decodeTo(new ByteArrayInputStream(body), fields, StandardCharsets.UTF_8, -1, -1);
                    List<Object[]> all = new ArrayList<>();
                    fields.forEach((name, values) -> values.forEach(value -> all.add(new Object[] {name, value})));
                    return all;
                });
            }
            if (type.toLowerCase(Locale.ROOT).contains("multipart")) {
                answer.ask("Commons FileUpload", "form", () -> {
                    List<Object[]> fields = new ArrayList<>();
                    for (FileItem item : new FileUpload(new DiskFileItemFactory()).parseRequest(new Upload(body, type))) {
                        fields.add(new Object[] {item.getFieldName(), item.isFormField() ? item.get() : FILE});
                    }
                    return fields;
                });
            }
            answer.to(response);
        }
    }

    static Map<String, Object> byGson(String text) {
        Declared declared = PLAIN.fromJson(text, Declared.class);
        Map<String, Object> all = new LinkedHashMap<>();
        if (declared != null) {
            all.put("user_id", declared.user_id);
            all.put("userId", declared.userId);
            all.put("id", declared.id);
            all.put("conversation_id", declared.conversation_id);
            all.put("user", declared.user);
        }
        return all;
    }

    static final class Declared {
        String user_id;
        String userId;
        String id;
        String conversation_id;
        Map<String, Object> user;
    }

    static final class Upload implements UploadContext {
        private final byte[] body;
        private final String type;

        Upload(byte[] body, String type) {
            this.body = body;
            this.type = type;
        }

        @Override public String getCharacterEncoding() { return "UTF-8"; }
        @Override public String getContentType() { return type; }
        @Override public int getContentLength() { return body.length; }
        @Override public long contentLength() { return body.length; }
        @Override public InputStream getInputStream() { return new ByteArrayInputStream(body); }
    }

    static int serve(HttpServlet servlet) throws Exception {
        File folder = Files.createTempDirectory("parsertest").toFile();
        folder.deleteOnExit();
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(folder.getPath());
        Connector connector = new Connector();
        connector.setPort(0);
        connector.setProperty("address", "127.0.0.1");
        connector.setMaxParameterCount(100_000);
        connector.setParseBodyMethods("POST,PUT,PATCH");
        connector.setProperty("relaxedQueryChars", "\"<>[\\]^`{|}");
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", folder.getPath());
        context.setAllowCasualMultipartParsing(true);
        context.setRequestCharacterEncoding("UTF-8"); // as Spring Boot and Tomcat's own web.xml do
        Wrapper wrapper = Tomcat.addServlet(context, "all", servlet);
        wrapper.setMultipartConfigElement(new MultipartConfigElement(folder.getPath()));
        context.addServletMappingDecoded("/*", "all");
        tomcat.start();
        return tomcat.getConnector().getLocalPort();
    }

    public static void main(String[] arguments) throws Exception {
        Logger.getLogger("").setLevel(Level.SEVERE);
        System.setProperty("org.eclipse.jetty.util.log.class", "org.eclipse.jetty.util.log.JavaUtilLog");
        for (Object path : PLAIN.fromJson(System.getenv("WATCHED"), List.class)) {
            WATCHED.add(((List<?>) path).get(0).toString().toLowerCase(Locale.ROOT));
        }
        System.out.println("tomcat " + serve(new Forms()));
        System.out.println("java " + serve(new Bodies()));
        Thread.currentThread().join();
    }
}
